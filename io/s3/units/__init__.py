"""`io/s3/units` holds a backfill's units of work: which are finished, which are taken, and how far all are.

- `manifest`: finished units.    - `claims`: shares units among processes.    - `tally`: progress.
- `finish`: the chain's end.    - `throttle`: keeps a rate.
"""
