"""This room changes fields of events: each operation as data, and the kernel that runs many of them in one call.

- `operations`, `_native_fields.c`: operations, blocks of them, and their function.
- `documents`, `_native_documents.c`: what begins and ends a document's way through filters.
- `batches`, `_native_batches.c`: a chain's function over the events of a batch.
"""
