"""`stopping` holds how a process hears that it must stop: `stop_signals` while a job runs, `early_stop` before that."""
