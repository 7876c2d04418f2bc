"""The lease room decides who reads which shard, and keeps how far each shard is done.

- `table`: the rows in DynamoDB, in KCL's format.    - `coordinator`: takes, renews and gives up leases.
- `held_shard`: one shard whose lease is ours.    - `checkpoints`: how far it is done.
- `_plan`: which leases to take.    - `_graph`: the stream's family tree.
- `worker_names`: who is who in the table.
"""
