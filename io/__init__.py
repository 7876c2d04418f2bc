"""The connectors: Beats, Kinesis, Elasticsearch, and what they share.

- `errors`: every exception a user can meet.      - `live`: one listening or fetching object a process.
- `acknowledge`: the last step of every chain.    - `unbounded`: the only module that knows Beam's sources.
- `options`: how a component declares options.    - `aws`: sessions, and the IAM action behind each call.
- `backoff`: waiting between tries.               - `dead_letters`: where refused events are kept.
"""
