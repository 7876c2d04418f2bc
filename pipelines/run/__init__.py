"""`run` takes a job from its start to its exit code: runner, signals, worker processes, last words.

- `runners`: what a runner needs set.    - `lifecycle`: around every run.    - `streaming`, `batch`: the two kinds of job.
- `remote`: a runner that is another process.    - `beam_servers`: what Beam starts beside us.
- `worker_processes`, `worker`: several processes of one machine.    - `job_preflight`: what a job needs of its peers.
"""
