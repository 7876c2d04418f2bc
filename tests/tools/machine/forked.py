"""Starts programs that need Beam, and spares them its import: most of the CPU time that a short job takes.

A server imports it once per process of tests, and forks. What a test starts is a process of its own all the same: it hands
its streams, arguments and environment to the copy, passes signals on, and ends as the copy ends. A copy whose process is
killed is killed; the server ends with the tests.
"""

import atexit
import contextlib
import functools
import json
import os
import runpy
import select
import signal
import socket
import sys
from pathlib import Path

_IMPORTED = ("apache_beam", "penstock.io.chain.read_all", "penstock.pipelines.run.streaming")
_LARGEST = 1 << 18
_KIND = socket.SOCK_SEQPACKET


def command(program: Path, *arguments: str) -> list[str]:
    """The command that runs a program as `python PROGRAM ARGUMENT ...` does."""
    return [sys.executable, "-I", __file__, "run", _server(), str(program), *arguments]


@functools.cache
def _server() -> str:
    """The path of the server's socket."""
    import subprocess
    import tempfile

    path = f"{tempfile.mkdtemp()}/s"
    with socket.socket(socket.AF_UNIX, _KIND) as listener:
        listener.bind(path)
        listener.listen(64)
        number = listener.fileno()
        server = subprocess.Popen(
            [sys.executable, "-P", __file__, "serve", str(number)], stdin=subprocess.PIPE, pass_fds=[number]
        )
    atexit.register(server.communicate)
    return path


def _run(path: str, arguments: list[str]) -> int:
    """Has the program run, and returns how it ended; a signal's number is negative."""
    with socket.socket(socket.AF_UNIX, _KIND) as connection:
        connection.connect(path)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda number, _: connection.send(bytes([number])))
        asked = json.dumps([arguments, dict(os.environ), os.getcwd()]).encode()
        socket.send_fds(connection, [asked], [0, 1, 2])
        return int(connection.recv(64))


def _serve(listener: socket.socket) -> None:
    """Forks for each who connects, until the tests end; returns in the copies."""
    for name in _IMPORTED:
        __import__(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while 0 not in (ready := select.select([listener, 0], [], [])[0]):
        assert ready
        connection, _ = listener.accept()
        with connection:
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                listener.close()
                _supervise(connection)
                return
    os._exit(0)


def _supervise(connection: socket.socket) -> None:
    """Forks once more, passes signals on, tells the end; returns in the copy."""
    asked, streams, _, _ = socket.recv_fds(connection, _LARGEST, 3)
    arguments, environment, folder = json.loads(asked)
    copy = os.fork()
    if copy == 0:
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
    for stream in streams:
        os.close(stream)
    if copy == 0:
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = arguments
        return
    end = os.pidfd_open(copy)
    while end not in select.select([connection, end], [], [])[0]:
        for number in connection.recv(64) or [signal.SIGKILL]:
            os.kill(copy, number)
    with contextlib.suppress(OSError):  # who was killed is told nothing
        connection.send(b"%d" % os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1]))
    os._exit(0)


if __name__ == "__main__":
    if sys.argv[1] == "run":
        code = _run(sys.argv[2], sys.argv[3:])
        if code < 0:
            signal.signal(-code, signal.SIG_DFL)
            os.kill(os.getpid(), -code)
        sys.exit(code)
    _serve(socket.socket(fileno=int(sys.argv[2])))
    runpy.run_path(sys.argv[0], run_name="__main__")
