"""The jobs, one file per job: it wires a read, transforms and sinks, and owns its options."""
