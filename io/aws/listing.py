"""`listed` pages through a listing of S3: the only place that follows continuation tokens."""

from collections.abc import Callable, Iterator
from typing import Any

from penstock.io.aws.sense import sensible
from penstock.io.errors import PeerError

__all__ = ["listed", "sensible_page"]

_ENTRY = {"Key", "Size", "ETag", "LastModified"}


def listed(list_page: Callable[..., dict[str, Any]], **arguments: Any) -> Iterator[dict[str, Any]]:
    """Gives the `Contents` of all pages, in the order of their keys. It asks for a page when the one before is used up.

    Args:
        list_page: calls `list_objects_v2`, and raises what the caller wants raised.
        arguments: of every call (`Bucket`, `Prefix`, ...).
    """
    token: dict[str, str] = {}
    while True:
        page = sensible_page(list_page, **arguments, **token)
        yield from page.get("Contents", ())
        if not page["IsTruncated"]:
            return
        after, token = token, {"ContinuationToken": page["NextContinuationToken"]}
        if token == after:
            where = f"s3://{arguments['Bucket']}/{arguments.get('Prefix', '')}"
            message = f"cannot list {where}: its pages go in a circle. Check --endpoint_url."
            raise PeerError(message)


def sensible_page(list_page: Callable[..., dict[str, Any]], **arguments: Any) -> dict[str, Any]:
    """Gives a page of a listing. A page that doesn't say whether more follow is asked for again: objects would be missed.

    Raises:
        PeerError: no reply made sense.
    """
    doing = f"list s3://{arguments['Bucket']}/{arguments.get('Prefix', '')}"
    page: dict[str, Any] = sensible(lambda: list_page(**arguments), _fault, doing)
    return page


def _fault(page: dict[str, Any]) -> str:
    if "IsTruncated" not in page:
        return "the reply is no page of a listing (it has no IsTruncated)"
    if page["IsTruncated"] and not page.get("NextContinuationToken"):
        return "a page says that more follow, and has no NextContinuationToken"
    if not all(entry.keys() >= _ENTRY for entry in page.get("Contents", ())):
        return "an entry of a page lacks its key, size, ETag or date"
    return ""
