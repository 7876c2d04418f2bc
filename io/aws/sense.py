"""`sensible` asks AWS again when a reply of status 200 is not what the API promises, and says what is wrong in the end.

Such replies come from proxies, sign-on pages and emulators: botocore reads HTML or an empty body as a reply without
fields, or its parser ends in an error of Python's, which `promised` turns into a `BadReply`.
"""

import contextlib
import time
import traceback
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from botocore.exceptions import BotoCoreError
from botocore.parsers import ResponseParserError

from penstock.io.backoff import delays
from penstock.io.errors import PeerError, PenstockError

__all__ = ["NONSENSE", "BadReply", "promised", "sensible", "stored"]

_TRIES = 5
NONSENSE = (KeyError, ValueError, TypeError, AttributeError, IndexError, OverflowError, RuntimeError)
"""What reading a reply may end in that is not what the API promises, in botocore's parser or in ours."""


class BadReply(BotoCoreError):
    """A reply that is not what the API promises. Never the parser's own words: they may quote a payload."""

    fmt = "the reply is not what the API promises"


@contextlib.contextmanager
def promised() -> Iterator[None]:
    """Turns what botocore's parser may end in into a `BadReply`. No error keeps the request or the reply.

    A frame of botocore or urllib3 through which an exception went holds that exception, so the two are a circle. It would
    keep megabytes until the garbage collector comes.
    """
    try:
        yield
    except Exception as error:
        _let_go(error)
        if isinstance(error, (ResponseParserError, *NONSENSE)):
            raise BadReply from error
        raise


def _let_go(error: BaseException) -> None:
    link: BaseException | None = error
    while link is not None:
        for ended, _ in traceback.walk_tb(link.__traceback__):
            frame: FrameType | None = ended
            while (
                frame is not None
            ):  # the traceback of an exception that was returned lacks those who gave it on
                try:
                    frame.clear()
                except RuntimeError:  # it runs, as do all that called it
                    break
                frame = frame.f_back
        link = link.__cause__ or link.__context__


def sensible(call: Callable[[], Any], fault: Callable[[Any], str], doing: str) -> Any:
    """Gives the first reply that makes sense.

    Args:
        call: makes the call, and raises what the caller wants raised.
        fault: says what is wrong with a reply; "" when nothing is. It may raise one of `NONSENSE`.
        doing: what we were doing, as in "cannot {doing}".

    Raises:
        PeerError: no try gave a reply that makes sense.
    """
    waits = delays(0.2, 5.0)
    for attempt in range(_TRIES):
        try:
            reply = call()
            found = fault(reply)
            if not found:
                return reply
        except PenstockError as error:
            if not isinstance(error.__cause__, BadReply):
                raise
            found = str(error.__cause__)
        except (BadReply, *NONSENSE) as error:
            found = f"the reply is not what the API promises ({type(error).__name__})"
        if attempt < _TRIES - 1:
            time.sleep(next(waits))
    message = f"cannot {doing}: {found}. Check --endpoint_url, and proxies in between."
    raise PeerError(message)


def stored(reply: Any) -> str:
    """Says what is wrong with a reply to PutObject; "" when nothing is."""
    return (
        "" if reply.get("ETag") else "the reply to PutObject has no ETag, so nothing says that it is stored"
    )
