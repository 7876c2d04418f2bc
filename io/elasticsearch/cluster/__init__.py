"""`io/elasticsearch/cluster` reaches the cluster, and tries it before the start.

- `client`: the only file that talks to it.    - `nodes`: addresses, TLS, credentials.
- `template`: the index template.    - `preflight`, `_disk`: what is tried before the start.
"""
