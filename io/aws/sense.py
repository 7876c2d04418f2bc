"""`sensible` asks AWS again when a reply of status 200 is not what the API promises, and says what is wrong in the end.

Such replies come from proxies, sign-on pages and emulators: botocore reads HTML or an empty body as a reply without fields.
"""

import time
from collections.abc import Callable
from typing import Any

from penstock.io.backoff import delays
from penstock.io.errors import PeerError, PenstockError

__all__ = ["NONSENSE", "sensible", "stored"]

_TRIES = 5
NONSENSE = (KeyError, ValueError, TypeError, AttributeError, OverflowError, RuntimeError)
"""What reading a reply may end in that is not what the API promises, in botocore's parser or in ours."""


def sensible(call: Callable[[], Any], fault: Callable[[Any], str], doing: str) -> Any:
    """Gives the first reply that makes sense.

    Args:
        call: makes the call, and raises what the caller wants raised.
        fault: says what is wrong with a reply; "" when nothing is.
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
        except PenstockError:
            raise
        except NONSENSE as error:
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
