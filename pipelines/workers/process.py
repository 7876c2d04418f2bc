"""`process` starts one worker process, talks to it, and leaves it behind in no case.

We talk to a worker by its standard input (`GO`, `STOP`). When that is closed, we are gone, and the worker ends. Its log
lines come by a pipe and go to our stderr. No port is opened.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence

__all__ = ["GO", "STOP", "WorkerProcess"]

GO, STOP = b"g", b"s"
_LONGEST_LINE = 64 << 10


class WorkerProcess:
    """One worker process.

    Args:
        module: what it runs; a module of ours.
        arguments: its command line.
        number: for the name of a thread.
        pass_fds: file descriptors that it gets besides its standard ones.
    """

    def __init__(
        self, module: str, arguments: Sequence[str], number: int, pass_fds: Sequence[int] = ()
    ) -> None:
        lifeline, self._lifeline = os.pipe()
        said, says = os.pipe()
        try:
            self.process = subprocess.Popen(  # noqa: S603  our own module, with our own command line
                [sys.executable, "-P", "-m", module, *arguments],
                stdin=lifeline,
                stdout=subprocess.DEVNULL,
                stderr=says,
                pass_fds=tuple(pass_fds),
                start_new_session=True,  # Ctrl-C at the terminal is for us, and we tell the workers
            )
        except BaseException:
            os.close(self._lifeline)
            os.close(said)
            raise
        finally:
            os.close(lifeline)
            os.close(says)
        self._pump = threading.Thread(
            target=_pass_on, args=(said,), name=f"penstock-log-{number}", daemon=True
        )
        self._pump.start()

    def tell(self, word: bytes) -> None:
        """Tells it to begin, or to stop."""
        with contextlib.suppress(OSError):  # it has ended
            os.write(self._lifeline, word)

    def runs(self) -> bool:
        """Whether it still runs."""
        return self.process.poll() is None

    def how_it_ended(self) -> str:
        """Says how a process ended that told nothing."""
        code = self.process.returncode
        if code >= 0:
            return f"ended with exit code {code} and didn't say why (--log_level debug shows all)"
        if code == -signal.SIGKILL:
            return "was killed, by the system if memory ran out: fewer --workers need less"
        return f"was ended by signal {-code}"

    def end(self) -> None:
        """Kills it if it still runs, and passes on its last log lines."""
        if self.runs():
            self.process.kill()
        self.process.wait()
        os.close(self._lifeline)
        self._pump.join(5.0)


def _pass_on(said: int) -> None:
    """Passes a worker's log lines to our present stderr."""
    with open(said, "rb") as lines:
        while line := lines.readline(_LONGEST_LINE):
            sys.stderr.write(line.decode(errors="replace"))
