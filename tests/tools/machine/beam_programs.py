"""Programs that are built from Beam's own source, once, into the cache (`local.servers.beam_programs`)."""

import io
from pathlib import Path

from local.processes import LocalError
from local.servers import beam_programs
from local.terminal import Progress
from tests.tools.peers.emulators import unavailable


def prism() -> Path:
    """Beam's Prism; without Go the test is skipped, and fails where `CI` is set."""
    try:
        return beam_programs.find_prism(Progress(io.StringIO()))
    except LocalError as error:
        unavailable(str(error))


def boot() -> Path:
    """What Beam's worker images start, likewise."""
    try:
        return beam_programs.find_boot(Progress(io.StringIO()))
    except LocalError as error:
        unavailable(str(error))
