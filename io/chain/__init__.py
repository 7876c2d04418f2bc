"""`io/chain` holds what every source and every sink stands on.

- `live_objects`: one listening or fetching object per process.    - `unbounded`: Beam's endless sources.
- `live_source`, `chunk`: what is queued, handed out, acknowledged. - `read_all`: several sources as one read.
- `whole_chain`: refuses a chain with a step forgotten.             - `pacing`: how long a reader may hold its bundle.
- `sinks`: what every sink does, alone or beside others.           - `batch_coder`: batches as bytes.
- `acknowledge`: the last step of every chain.                     - `source_status`: what a source tells of itself.
"""
