"""`WorkerProcess` starts one worker process, talks to it by its `lifeline`, and leaves it behind in no case.

Its log lines come by a pipe and go to our stderr.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence

__all__ = ["WorkerProcess"]

_LONGEST_LINE = 64 << 10


class WorkerProcess:
    """One worker process.

    Args:
        module: what it runs; a module of ours.
        arguments: its command line.
        name: which one it is, for the name of a thread.
        pass_fds: file descriptors that it gets besides its standard ones.
        shows_output: whether its standard output is ours; else it goes nowhere.
        marked: makes of a log line the one that we pass on.
    """

    def __init__(
        self,
        module: str,
        arguments: Sequence[str],
        name: object,
        *,
        pass_fds: Sequence[int] = (),
        shows_output: bool = False,
        marked: Callable[[bytes], bytes] = bytes,
    ) -> None:
        lifeline, self._lifeline = os.pipe()
        said, says = os.pipe()
        try:
            self.process = subprocess.Popen(  # noqa: S603  our own module, with our own command line
                [sys.executable, "-P", "-m", module, *arguments],
                stdin=lifeline,
                stdout=None if shows_output else subprocess.DEVNULL,
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
            target=_pass_on, args=(said, marked), name=f"penstock-log-{name}", daemon=True
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

    def kill(self) -> None:
        """Kills it if it still runs."""
        if self.runs():
            self.process.kill()

    def end(self) -> None:
        """Kills it if it still runs, and passes on its last log lines."""
        self.kill()
        self.process.wait()
        os.close(self._lifeline)
        self._pump.join(5.0)


def _pass_on(said: int, marked: Callable[[bytes], bytes]) -> None:
    """Passes a worker's log lines to our present stderr."""
    with open(said, "rb") as lines:
        while line := lines.readline(_LONGEST_LINE):
            sys.stderr.write(marked(line).decode(errors="replace"))
