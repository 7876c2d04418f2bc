"""`local` is everything behind `./run_local.sh`: servers on this machine, the jobs, the demonstration, the tests.

`servers` holds AWS' and Elasticsearch's stand-ins, `flink` a cluster, `demo` the way of real lines; beside them stand the
command line (`command`), the tests' steps (`test_command`), the virtual environment (`bootstrap`) and how a process
is started and ended (`processes`). Not part of the installed package: the tests borrow its servers.
"""
