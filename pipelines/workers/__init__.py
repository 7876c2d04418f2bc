"""`workers` runs a job in several processes of one machine, under one parent.

- `options`: --workers, and how many `auto` is.        - `process`: one worker process and its pipes.
- `supervisor`: the parent of an endless job.          - `_restarts`: when it starts a worker again, and when it gives up.
- `telling`: what a worker tells its parent.           - `endless`: the worker's own entry point.
"""
