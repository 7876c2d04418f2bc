"""`remote` is for jobs whose runner is another process: Flink's, or Prism.

- `flink_options`: what Flink's job server takes.    - `following`: waits for the job, or leaves it.
- `beam_servers`: what Beam starts beside us.
"""
