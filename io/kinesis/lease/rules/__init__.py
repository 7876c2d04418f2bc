"""`io/kinesis/lease/rules` holds the rules of leases. Pure.

- `_rows`: one row of the table, in KCL's format.    - `_ownership`: whether a row is this stream's.
- `_graph`: the stream's family tree.                - `_plan`: which leases to take.
- `_unread`: which shards nobody reads, and why.
"""
