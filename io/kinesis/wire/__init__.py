"""`wire` makes the two hot calls of Kinesis' data plane, PutRecords and GetRecords.

- `calls`: what they take, give and fail with.    - `client`: chooses the thin client or boto's.
- `thin_client`, `transport`, `kept_connections`, `_get_reply`, `_signature`: the thin client.
- `boto_client`: the measure for it.
"""
