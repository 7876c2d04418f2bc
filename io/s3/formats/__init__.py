"""`io/s3/formats` reads what an object's bytes hold, with one file per format. Pure.

- `_lines`, `_json_array`: text.                     - `_compression`: decompresses.
- `_parquet`, `_arrow_values`, `_json_columns`: Parquet, and how a value of Arrow becomes JSON.
- `orc`: ORC, by the same rules.
- `_avro`, `_avro_blocks`: Avro's rows, and the bounded frame around them.
- `_rows`: rows as events.                           - `_layouts`: files whose rows are events of another peer.
"""
