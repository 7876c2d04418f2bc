"""`local` is everything behind `./run_local.sh`: servers on this machine, the jobs, the demonstration, the tests.

Not part of the installed package. Start it by `run_local.sh`; the tests borrow its servers.
"""
