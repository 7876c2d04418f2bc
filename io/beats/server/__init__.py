"""`io/beats/server` is the Beats server: it lets clients in, reads them, and tells each what is durable.

- `beats_server`: the live source, and the thread that acknowledges.    - `accepting`: new clients.
- `connection`: reads one client.    - `replies`: tells it what is durable.
- `intake`, `_holdings`, `_budget`: turns and bounds.    - `complaints`, `_statistics`, `memory`.
"""
