"""`io/kinesis/read` reads a stream: it holds the Beam source, the shards of a process, and their readers.

- `source`: `ReadFromKinesis`.    - `live_stream`: all shards of this process.    - `live_shard`: one shard.
- `shard_reader`: fetches and takes apart.    - `fetching`: the threads.    - `metrics`: what is counted.
- `preflight`, `policy`: what is tried before the start, and the permissions it needs.
"""
