"""`commands` holds a module per command beside the jobs, and per process that another one of ours starts.

- `check_command`, `config_command`, `run_command`, `completion`, `flink_status`: `penstock check`, ... `penstock status`.
- `endless`, `batch_worker`: a worker of an endless job, of a job that ends.    - `member`: one of several jobs.
"""
