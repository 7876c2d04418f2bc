"""`wire` makes the two hot calls of Kinesis' data plane, PutRecords and GetRecords.

- `calls`: arguments, replies and failures.    - `client`: chooses the thin client or boto's.
- `thin_client`, `transport`, `_get_reply`, `_signature`: the thin client.
- `boto_client`: boto's client, which the thin one is measured by.
"""
