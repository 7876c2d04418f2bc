"""`io/chain` holds what every source and every sink stands on.

- `live_objects`: one listening or fetching object per process.    - `unbounded`: Beam's endless sources.
- `live_source`: what is queued, handed out, acknowledged.
- `sinks`: what every sink does with a batch.                      - `batch_coder`: batches as bytes.
- `acknowledge`: the last step of every chain.                     - `source_status`: what a source tells of itself.
- `garbage_collector`: keeps it out of the way.
"""
