"""`member` is one of several jobs that run as one: `python -m penstock.pipelines.commands.member WAY JOB [options]`.

It is not for people: `workers.together` starts it. WAY is the descriptor by which it tells its parent what it sees, or -1.
"""

import os
import signal
import sys

from penstock.pipelines import __main__ as program
from penstock.pipelines.status.page.shared import teller
from penstock.pipelines.status.page.showing import show_by
from penstock.pipelines.workers.lifeline import listen, nobody_reads_our_log

__all__ = ["main"]


def main(way: int, argv: list[str]) -> int:
    """Runs the job and returns its exit code."""
    listen({}, _stop_as_an_orphan)
    if way >= 0:
        show_by(teller(way))
    return program.main(argv)


def _stop_as_an_orphan() -> None:
    nobody_reads_our_log()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
