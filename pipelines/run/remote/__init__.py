"""`remote` is for jobs whose runner is another process: Flink's, or Prism.

- `following`: hands the job over.    - `arriving`: waits until it runs.    - `telling`: says how it goes.
- `loopback`: waits for a job whose workers are in this process.    - `beam_servers`: what Beam starts beside us.
- `flink`: the cluster's REST API.    - `flink_progress`: how far a job is.    - `_causes`: why one failed.
- `job_server`: which Flink the job server is for.
"""
