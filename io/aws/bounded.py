"""`bound_replies` bounds the replies that a boto client reads, in size and in time: botocore would hold whatever is sent.

`fast_session` makes a botocore session that reads the descriptions of AWS services by orjson. botocore reads them by
Python's own `json`: a quarter of a CPU-second of a job's start. Each session has its own, for botocore writes into them.
"""

import contextlib
import gzip
from collections.abc import Callable
from typing import Any

import botocore.session
import orjson
from botocore.exceptions import (
    ConfigParseError,
    ConnectionClosedError,
    HTTPClientError,
    ProfileNotFound,
    ReadTimeoutError,
)
from botocore.loaders import JSONFileLoader, create_loader
from urllib3.exceptions import HTTPError
from urllib3.exceptions import ReadTimeoutError as NothingInTime

from penstock.io.aws.pools import AWS_POOLS
from penstock.io.http.in_time import in_time
from penstock.io.http.replies import ReplyTooLarge, read_bounded

__all__ = ["bound_replies", "fast_session"]

_FORMS: dict[str, Callable[..., Any]] = {".json": open, ".json.gz": gzip.open}


class _BoundedSession:
    """Takes the place of a client's HTTP session, and reads a reply up to a limit. The reader of a stream bounds it."""

    def __init__(self, session: Any, limit: int, seconds: float) -> None:
        self._session = session
        self._limit = limit
        self._seconds = seconds

    def send(self, request: Any) -> Any:
        with in_time(self._seconds):
            return self._streamed(request) if request.stream_output else self._whole(request)

    def _streamed(self, request: Any) -> Any:
        response = self._session.send(request)
        connection: Any = getattr(response.raw, "_connection", None)
        if getattr(connection, "sock", None) is not None:
            connection.sock.settimeout(self._seconds)  # for each read of the body, which has no deadline
        return response

    def _whole(self, request: Any) -> Any:
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


def bound_replies(client: Any, limit: int, seconds: float) -> Any:
    """Gives the client, whose requests from now on take so many seconds at most, and read at most `limit` bytes of a reply.

    botocore has no public way to replace what sends requests. So its private attribute is replaced where it exists;
    a client without that attribute stays as it is.
    """
    endpoint = getattr(client, "_endpoint", None)
    if endpoint is not None and hasattr(endpoint, "http_session"):
        session = endpoint.http_session
        getattr(session, "_pool_classes_by_scheme", {}).update(AWS_POOLS)
        endpoint.http_session = _BoundedSession(session, limit, seconds)
    return client


class _Files(JSONFileLoader):
    def load_file(self, file_path: str) -> Any:
        for ending, opened in _FORMS.items():
            try:
                with opened(file_path + ending, "rb") as file:
                    return orjson.loads(file.read())
            except (FileNotFoundError, NotADirectoryError):
                continue
        return None


def fast_session(profile: str | None = None) -> botocore.session.Session:
    """Makes a botocore session that reads its files fast."""
    session = botocore.session.Session(profile=profile)
    with contextlib.suppress(ProfileNotFound, ConfigParseError):  # told by the first who asks the session
        loader = create_loader(session.get_config_variable("data_path"))
        loader.file_loader = _Files()
        session.register_component("data_loader", loader)
    return session
