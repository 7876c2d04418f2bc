"""`io/kinesis/write` puts events into streams: it holds keys, packing, delivery, and the Beam sink.

- `sink`: `WriteToKinesis`.    - `writer`: groups a batch's events by stream.    - `delivery`: one batch on its way.
- `landing`: where records landed, and whether that is right.    - `stream`: what deliveries to one stream share.
- `_packing`, `_limiter`: which events go together, and how fast.
- `routing`: the key and the stream of an event.    - `options`.    - `metrics`: what is counted.
- `preflight`, `policy`: what is tried before the start, and the permissions it needs.
"""
