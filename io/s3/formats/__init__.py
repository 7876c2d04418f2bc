"""What an object's bytes hold: one file per format. Pure.

- `_lines`, `_json_array`: text.    - `_parquet`, `_avro`: typed files.    - `_rows`, `_json_columns`: rows as JSON.
- `_compression`: takes it off.
"""
