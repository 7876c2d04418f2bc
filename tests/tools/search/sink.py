"""A search server of any kind, as the tests see it: raw calls, and the sink on one index."""

import base64
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from penstock.io.aws.session import AwsOptions
from penstock.io.elasticsearch import ElasticsearchOptions
from penstock.io.elasticsearch.writer import BulkWriter, Report
from penstock.transforms.batch import Event
from penstock.transforms.decode import JsonDecoder
from penstock.transforms.time.stamping import Stamper
from tests.tools.samples.events import event


class Api:
    """Calls to a server without any client's idea of which server it should be."""

    def __init__(self, url: str, authority: Path | None = None, user: tuple[str, str] | None = None) -> None:
        self.url = url
        self._context = ssl.create_default_context(cafile=str(authority)) if authority else None
        self._headers = {"content-type": "application/json"}
        if user is not None:
            self._headers["authorization"] = "Basic " + base64.b64encode(":".join(user).encode()).decode()

    def __call__(self, method: str, path: str, body: Any = None, *, may_fail: bool = False) -> Any:
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else orjson.dumps(body),
            headers=self._headers,
        )
        try:
            with urllib.request.urlopen(request, timeout=60, context=self._context) as reply:
                return orjson.loads(reply.read() or b"null")
        except urllib.error.HTTPError as error:
            told = error.read()
            if may_fail:
                return None
            raise AssertionError(method, path, error.code, told[:500]) from error

    def documents(self, index: str) -> dict[str, dict[str, Any]]:
        """The hits of an index by their ids."""
        self("POST", f"/{index}/_refresh")
        found = self("POST", f"/{index}/_search", {"size": 1000, "version": True})
        return {hit["_id"]: hit for hit in found["hits"]["hits"]}

    def every(self, pattern: str) -> Iterator[dict[str, Any]]:
        """All hits of the indices that there are, page by page."""
        self("POST", f"/{pattern}/_refresh")
        page = self("POST", f"/{pattern}/_search?scroll=2m", {"size": 5000, "sort": ["_doc"]})
        while page["hits"]["hits"]:
            yield from page["hits"]["hits"]
            page = self("POST", "/_search/scroll", {"scroll": "2m", "scroll_id": page["_scroll_id"]})
        self("DELETE", "/_search/scroll", {"scroll_id": page["_scroll_id"]})

    def count(self, index: str) -> int:
        """How many documents an index, or a pattern of them, holds; 0 before there is one."""
        self("POST", f"/{index}/_refresh", may_fail=True)
        found = self("GET", f"/{index}/_count", may_fail=True)  # fails while the index is being made
        return int(found["count"]) if found else 0


class Sink:
    """The sink on one index of a server."""

    def __init__(self, url: str, index: str, aws: AwsOptions | None = None, **given: Any) -> None:
        self.api = Api(url)
        self._aws = aws or AwsOptions()
        self.index = index
        self._given = {"hosts": [url], "index": index, "retry_initial_interval": 0.2, **given}

    def options(self, **options: Any) -> ElasticsearchOptions:
        return ElasticsearchOptions(**{**self._given, **options}).signed_by(self._aws)

    def write(self, payloads: list[bytes] | list[Event], *, stamped: bool = False, **options: Any) -> Report:
        events = [event(p, i) if isinstance(p, bytes) else p for i, p in enumerate(payloads)]
        decoded, letters = JsonDecoder(keep_documents=False).decode(events)
        assert not letters
        if stamped:
            Stamper()(decoded)
        writer = BulkWriter(self.options(**options), threading.Event())
        try:
            return writer.write(decoded)
        finally:
            writer.close()
