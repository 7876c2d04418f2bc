"""`bound_replies` bounds the replies that a boto client reads: botocore itself would hold whatever is sent."""

from typing import Any

from botocore.exceptions import ConnectionClosedError, HTTPClientError, ReadTimeoutError
from urllib3.exceptions import HTTPError
from urllib3.exceptions import ReadTimeoutError as NothingInTime

from penstock.io.replies import ReplyTooLarge, read_bounded

__all__ = ["bound_replies"]


class _BoundedSession:
    """Takes the place of a client's HTTP session, and reads a reply up to a limit. Whoever reads a stream bounds it."""

    def __init__(self, session: Any, limit: int) -> None:
        self._session = session
        self._limit = limit

    def send(self, request: Any) -> Any:
        if request.stream_output:
            return self._session.send(request)
        request.stream_output = True  # leaves the body to us
        try:
            response = self._session.send(request)
        finally:
            request.stream_output = False
        try:
            response._content = read_bounded(response.raw.read, self._limit)
        except BaseException as error:
            response.raw.close()
            if isinstance(error, NothingInTime):
                raise ReadTimeoutError(endpoint_url=request.url, error=error) from error
            if isinstance(error, HTTPError):
                raise ConnectionClosedError(error=error, request=request, endpoint_url=request.url) from error
            if isinstance(error, ReplyTooLarge):
                raise HTTPClientError(error=error) from error
            raise
        return response

    def close(self) -> None:
        self._session.close()


def bound_replies(client: Any, limit: int) -> Any:
    """Gives the client, which from now on reads at most `limit` bytes of a reply.

    botocore has no public way to replace what sends requests. So its private attribute is replaced where it exists;
    a client without that attribute stays as it is.
    """
    endpoint = getattr(client, "_endpoint", None)
    if endpoint is not None and hasattr(endpoint, "http_session"):
        endpoint.http_session = _BoundedSession(endpoint.http_session, limit)
    return client
