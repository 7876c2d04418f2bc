"""`errors` holds every exception that a user of penstock can meet.

    PenstockError                     anything below; one line that says what, where and what to do
    |- OptionError                    a wrong, missing or contradictory option (exit code 2)
    |- PipelineError                  a pipeline in which a step was forgotten (exit code 2)
    |- PeerError                      a peer said no, or can't be reached
    |  |- AccessDenied                credentials refused or a permission missing: terminal, never retried
    |  |- NotFound                    the stream, table or index isn't there
    |  |- Unreachable                 no connection to the peer within its limits
    |- ProtocolError                  a peer broke its protocol: that connection ends, nothing else
    |- StateError                     a savepoint's position can't be used: another version, or another source
    |- WrongRelease                   a worker has another version than the job was submitted with
    |- DeliveryError                  an event could be neither written nor set aside; the job must end
    |  |- StopTimeout                 a stop came before it was written: it is read or sent again (exit code 0)

Messages name options as the command line has them. Where Python code gave keywords, they name those instead
(`name_arguments`).

Beam pickles exceptions between processes, so each is rebuilt from its arguments alone: subclasses with
further fields define `__reduce__`. No message holds a payload, a credential or a token.

An exception that is kept (to be raised later, again, or by another thread) is kept `without_traceback`. A traceback
holds the locals of its frames: batches and buffers, and often the keeper itself, a cycle that nothing frees.
"""

import copy
import re
from collections.abc import Mapping
from typing import TypeVar

_Error = TypeVar("_Error", bound=BaseException)

__all__ = [
    "AccessDenied",
    "DeliveryError",
    "NotFound",
    "OptionError",
    "PeerError",
    "PenstockError",
    "PipelineError",
    "ProtocolError",
    "StateError",
    "StopTimeout",
    "Unreachable",
    "WrongRelease",
    "name_arguments",
    "without_traceback",
]

_FLAG = re.compile(r"--([a-z][a-z0-9_]*)")
_ARGUMENTS: dict[str, str] = {}


def name_arguments(names: Mapping[str, str]) -> None:
    """Errors of this process name these options by their arguments from now on: each flag (`region`) with its argument."""
    _ARGUMENTS.update(names)


class PenstockError(Exception):
    """Base of all: its text is one line for a person. `exit_code` is what a job ends with."""

    exit_code = 1

    def __init__(self, *arguments: object) -> None:
        if _ARGUMENTS and arguments and isinstance(arguments[0], str):
            text = _FLAG.sub(lambda flag: _ARGUMENTS.get(flag[1], flag[0]), arguments[0])
            arguments = (text, *arguments[1:])
        super().__init__(*arguments)


class OptionError(PenstockError):
    """An option is wrong, missing, or contradicts another one. The text names it as the user wrote it."""

    exit_code = 2


class PipelineError(PenstockError):
    """A pipeline that can't work as it is built. The text names the step, and the one to add."""

    exit_code = 2


class PeerError(PenstockError):
    """A server that the job needs refused something for good, or can't be reached."""


class AccessDenied(PeerError):
    """The peer refuses us: it does not accept our credentials, or a permission is missing.

    The text names the missing permission.
    """


class NotFound(PeerError):
    """The stream, table, index or file that an option names does not exist. The text names both."""


class Unreachable(PeerError):
    """There was no connection within the limits. The text names the address and the option."""


class ProtocolError(PenstockError):
    """The peer's bytes break the protocol or pass a limit; the text names the limit's option."""


class StateError(PenstockError):
    """What a runner has stored for us can't be used. The text says whose it is and what to do."""


class WrongRelease(PenstockError):
    """A worker has another penstock than the one that the job was submitted with."""


class DeliveryError(PenstockError):
    """An event could be neither written nor set aside as a dead letter. Nothing was acknowledged."""


class StopTimeout(DeliveryError):
    """The job was asked to stop, and a peer did not take everything within `--stop_timeout`. Nothing is lost by it."""

    exit_code = 0


def without_traceback(error: _Error) -> _Error:
    """Gives a copy of the error that holds nothing but its text and fields; to be kept, or raised again."""
    try:
        same = copy.copy(error)
    except Exception:  # an exception of another library that can't be built from its arguments
        same = error
    same.__cause__ = same.__context__ = None
    return same.with_traceback(None)
