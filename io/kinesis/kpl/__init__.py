"""`kpl` speaks the format of the Kinesis Producer Library: many user records in one. Pure, with kernels in C.

- `_aggregation`: makes aggregated records.    - `_deaggregation`: takes them apart.
"""
