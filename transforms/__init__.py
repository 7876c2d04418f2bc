"""What an event is, and pure functions of event batches: decode, select, refer, identify.

Nothing here opens a socket or a file; `penstock.io` imports this package, never the other way round.
"""
