"""Programs that are built by Go, once, into the cache (`local.servers.go_programs`).

Without Go the test is skipped, and says what to do; it fails where `CI` is set.
"""

import io
from collections.abc import Callable
from pathlib import Path

from local.processes import LocalError
from local.servers import go_programs
from local.terminal import Progress
from tests.tools.peers.emulators import unavailable


def prism() -> Path:
    """Beam's Prism."""
    return _found(go_programs.find_prism)


def boot() -> Path:
    """What Beam's worker images start."""
    return _found(go_programs.find_boot)


def filebeat() -> Path:
    """A real Filebeat."""
    return _found(go_programs.find_filebeat)


def _found(find: Callable[[Progress], Path]) -> Path:
    try:
        return find(Progress(io.StringIO()))
    except LocalError as error:
        unavailable(str(error))
