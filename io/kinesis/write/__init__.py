"""Writes a stream: keys, packing, delivery, and the Beam sink over them.

- `sink`: `WriteToKinesis`.    - `writer`: one stream's writer.    - `delivery`: one batch on its way.
- `_packing`, `_limiter`: what goes together, and how fast.    - `partition_keys`, `stream_names`: per event.
- `options`; `metrics`: what is counted.    - `preflight`, `policy`: before the start.
"""
