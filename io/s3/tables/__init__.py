"""Parquet, ORC and Avro, read in a process of their own, which hostile bytes may kill.

- `_messages`: what the two processes tell each other (pure).    - `worker`: the program of that process.
- `process`: starts it, talks to it, ends it.                    - `reading`: a table's rows, whatever comes.
"""
