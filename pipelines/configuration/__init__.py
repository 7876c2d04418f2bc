"""`configuration` gives options their values, and tells of them.

- `declared`: the options of a job, from its dataclasses; all else here is made of them.    - `values`: texts to values.
- `_document`, `config_file`: `--config FILE.yaml`.    - `layers`: what wins, the environment among it.
- `making`: a component's options from values.    - `help_pages`, `template`, `schema`: what a person or an editor reads.
"""
