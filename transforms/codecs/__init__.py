"""`codecs` decodes the bytes of records.

- `options`: `DecodeOptions`, which chooses one.      - `declarations`: every codec in one place.
- `json_objects`, `plain`, `decoder`: make events.          - `_inflate`: compression.
- `_json_values`: JSON in any row.    - `_cloudwatch_logs`: subscriptions.    - `lines`: text, line by line.
- `_hints`: names the format of bytes that a codec could not read.
"""
