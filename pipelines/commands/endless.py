"""`endless` is one worker process of an endless job: `python -m penstock.pipelines.commands.endless SETTINGS JOB [options]`.

It is not for people: `supervisor` starts it, and talks to it by its standard input. It runs the whole job, as a job of one
process does; it shares the port or the leases with the others, and its part of the bounds is one of several.
"""

import signal

# Stops come by standard input. A signal that a service manager sends to all processes must not end us halfway.
for _number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(_number, signal.SIG_IGN)

import json  # noqa: E402
import sys  # noqa: E402
from multiprocessing.connection import Connection  # noqa: E402

from penstock.io.shares import SHARES  # noqa: E402
from penstock.pipelines.jobs import find_job  # noqa: E402
from penstock.pipelines.workers.telling import Ended, Parent, Settings  # noqa: E402

__all__ = ["main"]


def main(settings: Settings, job: str, argv: list[str]) -> int:
    """Runs one worker. Returns its exit code."""
    SHARES.processes = settings.processes
    connection = Connection(settings.descriptor, readable=False)
    parent = Parent(
        settings.number, connection, prepares=settings.prepares, looks_every_s=settings.looks_every_s
    )
    parent.listen()
    try:
        return find_job(job).main(argv)
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
        parent.tell(Ended(code, "the worker refused its options (--log_level debug shows all)", 0))
        return code
    except BaseException as error:
        parent.tell(Ended(1, f"failed with {type(error).__name__}: {error}", 0))
        raise


if __name__ == "__main__":
    sys.exit(main(Settings(**json.loads(sys.argv[1])), sys.argv[2], sys.argv[3:]))
