"""`configuration` is where options come from, and the commands that are about files of them.

- `declared`: the options of a job, from its dataclasses; all else here is made of them.    - `values`: texts to values.
- `_document`, `config_file`: `--config FILE.yaml`.    - `layers`: what wins, the environment among it.
- `config_command`, `template`, `schema`: `penstock config`.    - `run_command`: `penstock run`.
"""
