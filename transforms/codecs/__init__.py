"""Codecs: what the bytes of a record mean.

- `options`: `DecodeOptions`, which chooses one.    - `_inflate`: compression.    - `_json_values`: JSON in any row.
- `_cloudwatch_logs`: subscriptions.    - `_separated`, `_aws_formats`: lines that AWS services write.
- `_columns`: CSV and TSV.    - `_multiline`: lines that belong together.
"""
