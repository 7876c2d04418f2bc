"""`accept_clients` accepts new clients, as many as file descriptors allow besides those that the sink needs.

Problem. A process out of file descriptors can't reach its sink: nothing is written any more, and no client, connected
or new, is told anything (#16).

Plan. The soft limit is raised to the hard one. Of what it allows, `RESERVE` stays for the sink, and for what
a process opens now and then. A client beyond that is accepted and closed at once, as beyond `--max_connections`.
"""

import logging
import os
import select
import socket
from collections.abc import Callable

from penstock.io.beats.origin import BeatsClient, client_at
from penstock.io.file_limit import raise_file_limit
from penstock.io.rarely import Rarely

__all__ = ["RESERVE", "accept_clients", "most_connections"]

_LOGGER = logging.getLogger(__name__)

RESERVE = 128
"""Descriptors for the sink's connections, the status page, files."""
_PAUSE_MS = 1000


def most_connections(asked: int) -> int:
    """Gives how many of the clients asked for can be served, and says so when that is fewer."""
    allowed = raise_file_limit()
    most = max(
        1, allowed - RESERVE - len(os.listdir("/proc/self/fd" if os.path.isdir("/proc") else "/dev/fd"))
    )
    if most >= asked:
        return asked
    _LOGGER.warning(
        "--max_connections %d: this process may have %d files open, so %d clients are served at most. Raise the hard limit "
        "(ulimit -Hn, LimitNOFILE= of systemd), or give a lower --max_connections.",
        asked,
        allowed,
        most,
    )
    return most


def accept_clients(
    listener: socket.socket,
    alarm: socket.socket,
    welcome: Callable[[socket.socket, BeatsClient], None],
    stopping: Callable[[], bool],
) -> None:
    """Accepts clients until the server stops, then closes the listener.

    Args:
        listener: the listening socket.
        alarm: becomes readable when the server stops.
        welcome: takes a client's socket over.
        stopping: whether the server stops.
    """
    listener.setblocking(False)
    warning = Rarely()
    waiting, pausing = select.poll(), select.poll()
    waiting.register(listener, select.POLLIN)
    for each in (waiting, pausing):
        each.register(alarm, select.POLLIN)
    while not stopping():
        try:
            waiting.poll()
            sock, address = listener.accept()
        except BlockingIOError:  # it is the alarm, or a client that is gone again
            continue
        except OSError as error:
            if warning.due(error.errno):
                _LOGGER.warning(
                    "cannot accept clients: %s (said once per minute). They wait; those connected are served.",
                    error.strerror or error,
                )
            pausing.poll(_PAUSE_MS)  # the listener stays readable: without a pause this would spin
            continue
        welcome(sock, client_at(str(address[0]), int(address[1])))
    listener.close()
