"""`io/beats/wire` speaks Lumberjack without I/O: bytes in, events and acknowledgements out. Pure.

- `_frames`: codes and layouts.    - `_protocol`: the server's half.    - `_inflate`, `_data_events`, `_limits`.
- `_acks`: which acknowledgements are due.    - `_proxy_protocol`: a load balancer's header.
"""
