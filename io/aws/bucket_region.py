"""`ask_once` keeps botocore from asking for a bucket's region for ever.

botocore looks a bucket's region up by HeadBucket when S3 redirects a request (301, 302, 307). Whoever redirects HeadBucket
too, and names no region (a proxy's sign-on page, an emulator), is asked again by the handler of that very call: 400 times
without a pause, and then a RecursionError.
"""

import threading
from typing import Any

from botocore.exceptions import ClientError

__all__ = ["REDIRECTED", "ask_once"]

REDIRECTED = frozenset(
    {
        *("301", "302", "307", "PermanentRedirect", "TemporaryRedirect", "Redirect"),
        *("AuthorizationHeaderMalformed", "IllegalLocationConstraintException"),
    }
)
"""Error codes of S3 that say: not here."""


def ask_once(client: Any) -> Any:
    """Gives the S3 client; its HeadBucket, made while another one is answered, ends at once and tells no region."""
    head_bucket = client.head_bucket
    asking = threading.local()

    def ask(**arguments: Any) -> Any:
        if getattr(asking, "now", False):
            raise ClientError({"Error": {}, "ResponseMetadata": {"HTTPHeaders": {}}}, "HeadBucket")  # type: ignore[typeddict-item]
        asking.now = True
        try:
            return head_bucket(**arguments)
        finally:
            asking.now = False

    client.head_bucket = ask
    return client
