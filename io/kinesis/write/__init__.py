"""`write` puts events into streams: keys, packing, delivery, and the Beam sink over them.

- `sink`: `WriteToKinesis`.    - `writer`: groups a batch's events by stream.    - `delivery`: one batch on its way.
- `landing`: where records landed, and whether that is right.    - `stream`: what deliveries to one stream share.
- `_packing`, `_limiter`: what goes together, and how fast.
- `routing`: the key and the stream of an event.    - `options`.    - `metrics`: what is counted.
- `preflight`, `policy`: before the start.
"""
