"""The optional C kernels over an event's bytes, and their twins in Python.

- `native`: loads a kernel, and tells which are in use.    - `_scan`: the fields that identity and time need.
- `_native_*.h`: what the kernels of `penstock.io` include too.
"""
