"""Kinesis' data plane: the two hot calls, PutRecords and GetRecords.

- `calls`: what they take, give and fail with.    - `client`: chooses the thin client or boto's.
- `thin_client`, `transport`, `kept_connections`, `_get_reply`: the thin client.    - `boto_client`: the measure for it.
"""
