"""Leases: who reads which shard, and how far everything is done.

- `table`: the rows in DynamoDB, in KCL's format.    - `coordinator`: takes, renews and gives up leases.
- `_plan`: which leases to take.    - `_graph`: the stream's family tree.    - `checkpoints`: marks per shard.
- `worker_names`: who is who in the table.
"""
