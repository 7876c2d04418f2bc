"""The Beats server: sockets, TLS, connections.

- `beats_server`: the listening socket and its threads.    - `connection`: one client.
- `handshake`: PROXY header and TLS.    - `sockets`, `tls`, `_certificate`: what these need.
- `_complaints`, `_statistics`: what the server says and counts.
"""
