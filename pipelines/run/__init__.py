"""`run` takes a job from its start to its exit code: runner, signals, last words.

- `job`, `chain`, `requirements`: how a job is declared.    - `runners`: sets the options of a runner.
- `streaming`, `batch`: the two kinds of run.    - `lifecycle`, `early_stop`, `stop_signals`: around every run.
- `remote`: a runner that is another process.
"""
