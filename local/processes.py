"""`processes` starts processes that nobody has to clean up behind us.

Each runs in a session of its own: a Ctrl-C at the terminal reaches us alone, and we end them in order; a
kill takes the whole group with it (Elasticsearch is a launcher and a server). A process is named by pid
and start time, so that `down` never ends a stranger who got a recycled pid.

Whatever is started is remembered here, and a signal that comes between the start and the remembering waits:
an interrupted command ends everything, whatever it was doing (`end_all`).

The tests start processes in many ways, and their workers may be killed before they clean up. So a run of tests has a
mark in its environment, which whatever it starts inherits, in a session of its own or not; `end_marked` ends all of that.
"""

import contextlib
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType

__all__ = [
    "Handle",
    "LocalError",
    "Process",
    "Terminated",
    "as_user",
    "clean_up_on_signals",
    "end_all",
    "end_marked",
    "marked",
    "release_all",
    "started_at",
    "uninterrupted",
]

TAIL_LINES = 15
TAIL_BYTES = 64 << 10


# `warnings` is what execvp imports, and our library may be out of that user's reach.
_AS_USER = """\
import os, sys, warnings
os.setgroups([])
os.setgid(int(sys.argv[2]))
os.setuid(int(sys.argv[1]))
os.execvp(sys.argv[3], sys.argv[3:])
"""


def as_user(user: str | None, command: Sequence[object]) -> list[str]:
    """Gives a command that runs another as that user (root only); None: as we are.

    Not by subprocess' own `user`. For that Python forks this process, and threads of gRPC wake up in the fork before it
    becomes the other program: one crashed there.
    """
    words = [str(word) for word in command]
    if user is None:
        return words
    found = pwd.getpwnam(user)
    return [sys.executable, "-I", "-S", "-c", _AS_USER, str(found.pw_uid), str(found.pw_gid), *words]


class LocalError(Exception):
    """What keeps `run_local.sh` from going on, in words for a person: what, where, what to do."""


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP: cleans up as Ctrl-C does."""


_started: "list[Process]" = []
_held = False
_waiting: int | None = None


def clean_up_on_signals() -> None:
    """From now on SIGINT, SIGTERM and SIGHUP raise `KeyboardInterrupt`, but never while a process is started."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    global _waiting
    if _held:
        _waiting = number
        return
    raise KeyboardInterrupt if number == signal.SIGINT else Terminated


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """A signal that comes meanwhile takes effect behind it."""
    global _held, _waiting
    _held = True
    try:
        yield
    finally:
        _held = False
        number, _waiting = _waiting, None
        if number is not None:
            _interrupt(number, None)


def end_all() -> None:
    """Kills whatever this process has started and not released."""
    while _started:
        _started.pop().kill()


def release_all() -> None:
    """What was started may go on when we end."""
    _started.clear()


def marked(variable: str, value: str) -> list[int]:
    """The processes, but us, that were started with this in their environment. None where there is no /proc."""
    mark, found = f"{variable}={value}".encode(), []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended, or is somebody else's
            if int(folder.name) != os.getpid() and mark in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return found


def end_marked(variable: str, value: str) -> None:
    """Kills whatever was started with this in its environment, and what that starts meanwhile, until none is left."""
    while pids := marked(variable, value):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def started_at(pid: int) -> str | None:
    """When a process started, as the system tells it; None when there is none (or only its remains)."""
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        try:
            # The command in parentheses may hold spaces: count from behind it. Fields 3 and 22 of proc(5).
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return None if fields[0] == "Z" else fields[19]
    command = ["ps", "-o", "lstart=", "-p", str(pid)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or None


class Handle:
    """A process group that we, or an earlier run of ours, started.

    Args:
        name: for messages.
        pid: of the group's leader.
        started: what `started_at` said when it was new.
    """

    def __init__(self, name: str, pid: int, started: str | None) -> None:
        self.name = name
        self.pid = pid
        self.started = started

    @property
    def alive(self) -> bool:
        """Whether it still runs, and is still the same process."""
        return self.started is not None and started_at(self.pid) == self.started

    def signal(self, number: int) -> None:
        """Sends a signal to the leader alone."""
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def stop(self, timeout_s: float = 30.0) -> bool:
        """Asks it to end (SIGTERM), and kills its group after the time-out. True when it ended by itself."""
        self.signal(signal.SIGTERM)
        deadline = time.monotonic() + timeout_s
        while self.alive:
            if time.monotonic() > deadline:
                self.kill()
                return False
            time.sleep(0.05)
        return True

    def kill(self) -> None:
        """SIGKILL to the whole group, and waits until its leader is gone."""
        while self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            time.sleep(0.01)

    def to_json(self) -> dict[str, object]:
        """What a state file keeps of it."""
        return {"name": self.name, "pid": self.pid, "started": self.started}


class Process(Handle):
    """A child process with a log file.

    Args:
        name: for messages.
        command: program and arguments.
        log: file for its output, written anew.
        environment: on top of ours.
        user: run as this user (root only).
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        user: str | None = None,
    ) -> None:
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with uninterrupted(), log.open("wb") as output:
            self._child = subprocess.Popen(
                as_user(user, command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                cwd=cwd,
                start_new_session=True,
            )
            super().__init__(name, self._child.pid, started_at(self._child.pid))
            _started.append(self)

    @property
    def exit_code(self) -> int | None:
        """Its exit code once it has ended (negative: the signal), and None before."""
        return self._child.poll()

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._child.poll() is None

    def wait(self, timeout_s: float) -> int:
        """Its exit code; raises `LocalError` when it still runs after the time-out."""
        try:
            return self._child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            message = f"{self.name} still runs after {timeout_s:g} s."
            raise LocalError(message + self.last_words()) from None

    def tail(self, lines: int = TAIL_LINES) -> list[str]:
        """The last lines of its log."""
        with self.log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            return [line[:300] for line in file.read().decode(errors="replace").splitlines()[-lines:]]

    def last_words(self) -> str:
        """The end of its log and where the log is, to stand behind a message."""
        lines = "".join(f"\n  | {line}" for line in self.tail())
        return f" The last lines of its log, {self.log}:{lines}"

    def check(self) -> None:
        """Raises `LocalError` with its last words when it has ended."""
        code = self.exit_code
        if code is not None:
            how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
            raise LocalError(f"{self.name} {how}." + self.last_words())
