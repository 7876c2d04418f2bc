"""`run` takes a job from its start to its exit code: runner, signals, worker processes, last words.

- `job`, `chain`, `requirements`: how a job is declared.    - `runners`: sets the options of a runner.
- `streaming`, `batch`: the two kinds of run.    - `lifecycle`, `early_stop`: around every run.
- `together`: several jobs as one.
- `worker_processes`, `worker`: several processes of one machine.    - `remote`: a runner that is another process.
"""
