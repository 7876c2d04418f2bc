"""Units of work of a backfill: which are finished, which are taken, and how far all are.

- `manifest`: what is finished.    - `claims`: who works on what.    - `tally`: progress.
- `finish`: the chain's end.    - `throttle`: keeps a rate.
"""
