"""Codecs: what the bytes of a record mean.

- `options`: `DecodeOptions`, which chooses one.      - `declarations`: every codec in one place.
- `json_objects`, `plain`, `decoder`: what makes events.    - `_inflate`: compression.
- `_json_values`: JSON in any row.    - `_cloudwatch_logs`: subscriptions.    - `lines`: text, line by line.
- `_hints`: what bytes look like that a codec could not read.
"""
