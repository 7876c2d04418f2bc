"""All peers fail in one way, every request is counted, and time passes only when somebody waits: no socket, no thread."""

import io
import itertools
import types
from collections.abc import Iterator
from typing import Any

import botocore.awsrequest
import elastic_transport
import pytest
import urllib3
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError

from penstock.io.aws.session import AwsOptions
from penstock.io.http.kept_connections import Reply

FAULTS = ("500", "closed", "307", "hanging", "throttled")
SECONDS = 30.0
AWS = AwsOptions(endpoint_url="http://peer.invalid", access_key="x", secret_key="y")
_HANGS_S = 6.0
_S3 = {
    "500": (500, "InternalError", {}),
    "307": (307, "TemporaryRedirect", {"location": "http://elsewhere.invalid/"}),
    "throttled": (503, "SlowDown", {}),
}
_JSON = {
    "500": (500, "InternalFailure", {}),
    "307": (307, "", {"location": "http://elsewhere.invalid/"}),
    "throttled": (400, "ThrottlingException", {}),
}
_CLUSTER = {"500": 500, "307": 307, "throttled": 429}


class FailingPeers:
    """The peers of a test, and its clock. From the outset of the fault on, the job has 30 s.

    Attributes:
        fault: one of `FAULTS`.
        asked: when each request was made, and by which call of the API.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
        self.fault = fault
        self.now = 0.0
        self.asked: list[tuple[float, str]] = []
        self.headers: dict[str, str] = {}
        """Further headers of a 307."""
        self.replies: Iterator[tuple[bytes, dict[str, str]]] | None = None
        """Body and headers of replies of status 200, in place of a fault."""
        waits = types.SimpleNamespace(sleep=self.wait, time=self.clock, monotonic=self.clock)
        for module in ("botocore.endpoint", "botocore.waiter", "penstock.io.aws.sense"):
            monkeypatch.setattr(f"{module}.time", waits)
        monkeypatch.setattr("botocore.httpsession.URLLib3Session.send", lambda _, request: self._aws(request))
        monkeypatch.setattr("penstock.io.kinesis.wire.thin_client.open_transport", lambda *_: self)
        monkeypatch.setattr("elastic_transport.Transport.perform_request", self._cluster)

    # -- time, as clock, `sleep`, and `threading.Event` ------------------------------------------------

    def clock(self) -> float:
        return self.now

    def wait(self, seconds: float | None = None) -> bool:
        self.now += seconds or 0.0
        return self.is_set()

    def is_set(self) -> bool:
        """Whether the 30 s are over: the job is stopped then."""
        return self.now >= SECONDS

    # -- what was asked --------------------------------------------------------------------------------

    def count(self, *names: str) -> int:
        """The requests within the 30 s; of some calls only where names are given."""
        return len(self.times(*names))

    def times(self, *names: str) -> list[float]:
        return [at for at, name in self.asked if at < SECONDS and (not names or name in names)]

    def waits(self, *names: str) -> list[float]:
        """The waits between two requests, without those that only the peer's silence lasted."""
        gaps = (round(b - a, 9) for a, b in itertools.pairwise(self.times(*names)))
        return [gap for gap in gaps if gap and gap != _HANGS_S]

    def _note(self, name: str) -> None:
        self.asked.append((self.now, name))
        if self.fault == "hanging":
            self.now += _HANGS_S

    # -- the peers -------------------------------------------------------------------------------------

    def _aws(self, request: Any) -> Any:
        target = request.headers.get("x-amz-target", b"")
        target = target.decode() if isinstance(target, bytes) else target
        body = request.body or b""
        if target:
            name, xml = target.rpartition(".")[2], False
        elif b"Action=" in (body if isinstance(body, bytes) else b""):
            name, xml = body.partition(b"Action=")[2].partition(b"&")[0].decode(), True
        else:
            name, xml = f"S3 {request.method}", True
        self._note(name)
        if self.fault == "closed":
            raise ConnectionClosedError(endpoint_url=request.url)
        if self.fault == "hanging":
            raise ReadTimeoutError(endpoint_url=request.url)
        status, data, headers = self._reply(xml)
        raw = urllib3.HTTPResponse(io.BytesIO(data), headers, status, preload_content=False)
        return botocore.awsrequest.AWSResponse(request.url, status, raw.headers, raw)

    def post(self, target: str, headers: dict[str, str], body: Any) -> Reply:
        """The transport of the thin client."""
        self._note(headers["X-Amz-Target"].rpartition(".")[2])
        if self.fault == "closed":
            message = "the peer closed the connection before its reply ended"
            raise ConnectionError(message)
        if self.fault == "hanging":
            raise TimeoutError
        status, data, found = self._reply(False)
        return Reply(status, {name.encode(): value.encode() for name, value in found.items()}, data)

    def close(self) -> None: ...

    def _reply(self, xml: bool) -> tuple[int, bytes, dict[str, str]]:
        if self.replies is not None:
            return 200, *next(self.replies)
        status, code, headers = (_S3 if xml else _JSON)[self.fault]
        if self.fault == "307":
            headers = {**headers, **self.headers}
        if not code:
            return status, b"<html>moved</html>", headers
        text = f"<Error><Code>{code}</Code></Error>" if xml else f'{{"__type":"{code}","message":"no"}}'
        return status, text.encode(), headers

    def _cluster(self, method: str, target: str, **_: Any) -> Any:
        self._note(target.partition("?")[0].partition("/_index_template")[1] or target.partition("?")[0])
        if self.fault == "closed":
            raise elastic_transport.ConnectionError("Connection refused")
        if self.fault == "hanging":
            raise elastic_transport.ConnectionTimeout("timed out")
        status = _CLUSTER.get(self.fault, 200)
        meta = elastic_transport.ApiResponseMeta(
            status, "1.1", elastic_transport.HttpHeaders({"location": "http://elsewhere.invalid/"}), 0.0,
            elastic_transport.NodeConfig("http", "peer.invalid", 9200),
        )  # fmt: skip
        return elastic_transport.TransportApiResponse(meta, b"{}")
