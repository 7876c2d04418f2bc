"""`plugins` declares the inputs, outputs and codecs of a `logstash.conf`: each option, and what becomes of it here.

- `declaration`: what an option and a plugin are.   - `values`: the values of one plugin, checked.
- One module per peer declares its plugins; `refused` says why others are missing. `catalogue` finds them by name.
"""
