"""`io` holds the connectors.

Each of its rooms knows one peer, or serves the rooms that do. Each room's `__init__` says which of its files holds what.

- `beats`, `kinesis`, `elasticsearch`, `s3`, `archive`, `dead_letters`: the peers.
- `elements`: batches from and for any Beam pipeline.
- `chain`: what every source and sink stands on.    - `aws`: sessions and explained calls.
- `http`: a request's time and a reply's size, bounded.    - `keywords`: arguments as editors see them.
- `preflight`: what is tried before the start.      - `errors`, `options`, `meters`, `backoff`: used by all.
- `moved`: old import paths.
"""

from penstock.io import moved

moved.install()
