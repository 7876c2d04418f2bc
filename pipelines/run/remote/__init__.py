"""`remote` is for jobs whose runner is another process: Flink's, or Prism.

<<<<<<< HEAD
- `following`: hands the job over, and waits until it runs.    - `telling`: says how it goes.
- `loopback`: waits for a job whose workers are in this process.    - `beam_servers`: what Beam starts beside us.
- `flink`: the cluster's REST API.    - `flink_progress`: how far a job is.    - `_causes`: why one failed.
- `flink_options`: what Flink's job server takes.    - `job_server`: which Flink it is for.
=======
- `flink_options`: options of Flink's job server.    - `following`: waits for the job, or leaves it.
- `beam_servers`: restrains the servers that Beam starts.    - `flink`: asks a Flink cluster.
>>>>>>> 79fa047 (pipelines, status page, submitting, IAM: plain English (#15))
"""
