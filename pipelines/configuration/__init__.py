"""`configuration` is where options come from and how they are told: files, environment, help, completion.

- `declared`: the options of a job, from its dataclasses; all else here is made of them.    - `values`: texts to values.
- `_document`, `config_file`: `--config FILE.yaml`.    - `layers`: what wins, the environment among it.
"""
