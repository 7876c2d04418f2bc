"""Reads a stream: shards, their readers, and the Beam source over them.

- `source`: `ReadFromKinesis`.    - `live_stream`: the shards of this process.    - `shard_reader`: one shard.
- `fetching`: the threads.    - `metrics`, `shard_status`: what is counted.    - `preflight`, `policy`: before the start.
"""
