"""The Beats server: who is let in, what is read of each client, and what each is told.

- `beats_server`: the live source, and the thread that acknowledges.    - `accepting`: new clients.
- `connection`: reads one client.    - `replies`: tells it what is durable.
- `intake`, `_holdings`, `_budget`: turns and bounds.    - `complaints`, `_statistics`, `memory`.
"""
