"""The ground that every source and every sink stands on.

- `live_objects`: one listening or fetching object per process.    - `unbounded`: Beam's endless sources.
- `acknowledge`: the last step of every chain.                     - `batch_coder`: batches as bytes.
- `source_status`: what a source tells of itself.                  - `garbage_collector`: keeps it out of the way.
"""
