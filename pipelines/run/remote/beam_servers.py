"""`beam_servers` restrains what Beam starts beside a submitted job: ports stay on this machine, signals are ours.

Problem. With `--environment_type=LOOPBACK`, which Prism and a Flink of Beam's own are given, a runner asks this process for
workers, and with `--flink_submit_uber_jar` it takes artifacts. Both use gRPC ports on all interfaces, without a password or
TLS. And on SIGINT Beam ends the runner that it has started, before the events that were read are written. At a terminal the
runner gets the Ctrl-C itself, because it is in our process group.

Plan. Peers connect to those ports by `localhost` anyway, so the ports are opened on 127.0.0.1 only. (As `localhost` gRPC
would take a port that is free on one of its addresses, and leave it to another server on the other.) SIGINT stays ours
(`lifecycle.Watch`), and the runner gets a session of its own. Beam ends it when this process ends; where this process is
killed, Linux does. Beam has no options for any of this, so functions in the modules that it uses are replaced.
"""

import functools
import logging
import sys
from collections.abc import Sequence
from typing import Any

__all__ = ["restrain_servers"]

_EVERYWHERE = "[::]:0"
_HERE = "127.0.0.1:0"
# prctl(PR_SET_PDEATHSIG, SIGTERM), which stays set for the program that takes the process over.
_END_WITH_PARENT = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 15); os.execvp(sys.argv[1], sys.argv[1:])"
)


def restrain_servers() -> None:
    """Makes servers that Beam starts in this process keep to this machine, and leave signals alone."""
    from apache_beam.runners.portability import abstract_job_service, job_server
    from apache_beam.runners.worker import worker_pool_main
    from apache_beam.utils import subprocess_server

    for module in (worker_pool_main, abstract_job_service):
        _replace(module, "grpc", server=_on_loopback)
    _replace(job_server, "signal", signal=lambda original, number, handler: None)
    _replace(subprocess_server, "subprocess", Popen=_apart)
    # Each start and end is a warning there, with its whole command; what went wrong is to be the last line.
    logging.getLogger(subprocess_server.__name__).setLevel(logging.ERROR)


def _replace(module: Any, name: str, **functions: Any) -> None:
    """Makes a module see `functions` instead of those of a module that it has imported as `name`."""
    original = getattr(module, name)
    if not isinstance(original, _Instead):
        setattr(module, name, _Instead(original, functions))


class _Instead:
    """A module with some functions replaced by ours, which are given the original one first."""

    def __init__(self, module: Any, functions: dict[str, Any]) -> None:
        self._module = module
        self._functions = functions

    def __getattr__(self, name: str) -> Any:
        original = getattr(self._module, name)
        ours = self._functions.get(name)
        return original if ours is None else functools.partial(ours, original)


def _on_loopback(original: Any, *arguments: Any, **options: Any) -> Any:
    made = original(*arguments, **options)
    listen = made.add_insecure_port
    made.add_insecure_port = lambda address: listen(_HERE if address == _EVERYWHERE else address)
    return made


def _apart(original: Any, command: Sequence[Any], **options: Any) -> Any:
    asked = [sys.executable, "-S", "-c", _END_WITH_PARENT, *map(str, command)]
    return original(asked, **options, start_new_session=True)
