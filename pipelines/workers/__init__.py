"""`workers` runs a job in several processes of one machine, or several jobs, under one parent.

- `options`: --workers, and how many `auto` is.        - `process`, `lifeline`: one process; how its parent talks to it.
- `supervisor`: the parent of an endless job.          - `_restarts`: when it starts a worker again, and when it gives up.
- `telling`: what a worker tells its parent.           - `endless`: the worker's own entry point.
- `batch_parent`, `batch_worker`: the same for a job that ends.    - `together`: several jobs as one.
"""
