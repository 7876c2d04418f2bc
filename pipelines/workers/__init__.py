"""`workers` runs a job in several processes of one machine, or several jobs, under one parent.

- `process`, `lifeline`: one process; how its parent talks to it.    - `telling`: what a worker tells its parent.
- `supervisor`: the parent of an endless job.    - `_restarts`: when it starts a worker again, and when it gives up.
- `batch_parent`: the parent of a job that ends.    - `together`: the parent of several jobs.

The programs of the processes themselves stand in `commands`, for they run whole jobs.
"""
