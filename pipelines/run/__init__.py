"""`run` takes a job from its start to its exit code: runner, last words.

- `job`, `chain`, `requirements`: how a job is declared.    - `runners`: sets the options of a runner.
- `streaming`, `batch`, `replaying`: the kinds of run.    - `lifecycle`: around every run.    - `progress`: how far it is.
- `remote`: a runner that is another process.
"""
