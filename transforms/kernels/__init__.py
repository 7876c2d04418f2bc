"""`kernels` holds the optional C kernels over an event's bytes, and their twins in Python.

- `native`: loads a kernel, and knows which are in use.    - `_scan`: the fields that identity and time need.
- `_native_*.h`: headers that the kernels of `penstock.io` include too.
"""
