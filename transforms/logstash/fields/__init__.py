"""This room changes fields of events: operations and conditions as data, and kernels that run many of them in one call.

- `source`: the lines of a chain's function.
- `operations`, `conditions`, `_native_fields.c`: operations, conditions, blocks and branches of them, and their function.
- `documents`, `_native_documents.c`: what begins and ends a document's way through filters.
- `batches`, `_native_batches.c`: a chain's function over the events of a batch.
"""
