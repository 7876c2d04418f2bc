"""`io/elasticsearch/cluster` reaches the cluster, and tries it before the start.

- `client`: the only file that talks to it.    - `nodes`: addresses, TLS, credentials.
- `template`, `lifecycle`: the index template, and its policy.    - `preflight`, `_disk`: what is tried before the start.
"""
