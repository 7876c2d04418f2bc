"""`pools` gives botocore connections that keep to the deadline of `penstock.io.http.in_time`."""

import functools
import io
from typing import Any

from botocore.awsrequest import AWSConnection, AWSHTTPResponse

from penstock.io.http.in_time import TimedConnection, TimedReader, TimedSocket, TimedTlsConnection, pools_of

__all__ = ["AWS_POOLS"]


class _AwsReply(AWSHTTPResponse):
    """A reply that came in place of the `100 Continue` that was waited for."""

    def __init__(self, sock: Any, *arguments: Any, **given: Any) -> None:
        super().__init__(TimedSocket(sock), *arguments, **given)


class _Waiting:
    """A socket while `100 Continue` is waited for."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock

    def makefile(self, mode: str, buffering: int) -> io.RawIOBase:
        return TimedReader(self._sock)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class _Aws(AWSConnection):
    """botocore's way with `Expect: 100-continue`, within the deadline. Its `send` may hold a body back."""

    sock: Any
    response_class: Any

    def _handle_expect_response(self, message_body: Any) -> None:
        sock, self.sock = self.sock, _Waiting(self.sock)
        try:
            super()._handle_expect_response(message_body)  # type: ignore[misc]
        finally:
            self.sock = sock
        if isinstance(self.response_class, functools.partial):
            self.response_class = functools.partial(_AwsReply, **self.response_class.keywords)


class _AwsConnection(_Aws, TimedConnection):  # type: ignore[misc]
    """Plain HTTP as botocore speaks it."""


class _AwsTlsConnection(_Aws, TimedTlsConnection):  # type: ignore[misc]
    """HTTPS as botocore speaks it."""


AWS_POOLS = pools_of(_AwsConnection, _AwsTlsConnection)
"""botocore's pools of connections, by scheme."""
