"""The cluster: how it is reached, and what is looked at before the start.

- `client`: the only file that talks to it.    - `nodes`: addresses, TLS, credentials.
- `template`: the index template.    - `preflight`, `_disk`: before the start.
"""
