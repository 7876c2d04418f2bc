"""`io/s3/tables` reads Parquet, ORC and Avro in a process of its own, which hostile bytes may kill.

- `_messages`: what the two processes tell each other (pure).    - `worker`: the program of that process.
- `room`: the memory that both share, for rows.                 - `_gathering`: joins small messages (pure).
- `process`: starts it, talks to it, ends it.                    - `reading`: a table's rows, whatever comes.
"""
