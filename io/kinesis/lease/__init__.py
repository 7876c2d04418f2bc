"""`io/kinesis/lease` decides who reads which shard, and keeps how far each shard is done.

- `coordinator`: takes and gives up leases.    - `renewals`: keeps them.    - `rules`: what both follow. Pure.
- `table`: the rows in DynamoDB.    - `own_rows`: those of this stream.    - `stream_view`: the stream's shards.
- `held_shard`: one shard whose lease is ours.    - `checkpoints`: how far it is done.
- `worker_names`: the names of workers in the table.
"""
