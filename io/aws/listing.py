"""`listed` pages through a listing of S3: the only place that follows continuation tokens."""

from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["listed"]


def listed(list_page: Callable[..., dict[str, Any]], **arguments: Any) -> Iterator[dict[str, Any]]:
    """The `Contents` of all pages, in the order of their keys; a page is asked for when the one before is used up.

    Args:
        list_page: calls `list_objects_v2`, and raises what the caller wants raised.
        arguments: of every call (`Bucket`, `Prefix`, ...).
    """
    token: dict[str, str] = {}
    while True:
        page = list_page(**(arguments | token))
        yield from page.get("Contents", ())
        if not page.get("IsTruncated"):
            return
        token = {"ContinuationToken": page["NextContinuationToken"]}
