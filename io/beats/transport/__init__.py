"""`io/beats/transport` moves the bytes of Beats clients: TCP, TLS, and what comes before the first frame.

- `sockets`: the listener, and a connection that never blocks.    - `handshake`: PROXY header and TLS.
- `tls`, `_certificate`: contexts from files, and the files' dates.
"""
