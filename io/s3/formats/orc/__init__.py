"""`io/s3/formats/orc` reads ORC files, stripe by stripe. Pure.

- `_reading`: rows of a file.    - `_tail`: its stripes, and the end of a file that holds only one of them.
"""
