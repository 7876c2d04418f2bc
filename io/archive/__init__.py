"""The archive of a stream in S3: what `kinesis-to-s3` writes, and what a backfill needs to read it back.

- `sink`: `WriteToArchive`.    - `source`: the read whose lease table alone says where to go on.
- `files`: a file as bytes, and its name.    - `_rows`: the rows.
"""
