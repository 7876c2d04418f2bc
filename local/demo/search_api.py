"""`SearchApi` asks a search server what a demonstration wants to know; the official client refuses an OpenSearch.

Its methods are those of `elasticsearch.Elasticsearch` that `evidence` needs, which takes either.
"""

import json
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import quote, urlencode

from elastic_transport import ApiResponseMeta, HttpHeaders, NodeConfig
from elasticsearch import ApiError

__all__ = ["SearchApi"]


class SearchApi:
    """Calls to one server.

    Args:
        url: its address.
        timeout_s: seconds until a call is given up.
    """

    def __init__(self, url: str, timeout_s: float = 30.0) -> None:
        self._url = url.rstrip("/")
        self._timeout_s = timeout_s
        self.indices = self

    def options(self, **_: Any) -> "SearchApi":
        """The same: it never tries again by itself."""
        return self

    def refresh(self, index: str, **options: Any) -> Any:
        """Makes what was written visible to searches."""
        return self._call("POST", f"/{quote(index)}/_refresh", options)

    def count(self, index: str, **options: Any) -> Any:
        """Counts the documents of an index, or of a pattern."""
        return self._call("GET", f"/{quote(index)}/_count", options)

    def search(self, index: str, **options: Any) -> Any:
        """Searches; what is no parameter of the address goes into the body."""
        names = ("size", "source", "aggregations")
        body = {{"source": "_source"}.get(name, name): options.pop(name) for name in names if name in options}
        if "sort" in options:
            given = options.pop("sort")
            body["sort"] = [given] if isinstance(given, str) else given
        return self._call("POST", f"/{quote(index)}/_search", options, body)

    def scroll(self, **body: Any) -> Any:
        """Gives the next page of a search."""
        return self._call("POST", "/_search/scroll", {}, body)

    def clear_scroll(self, **body: Any) -> Any:
        """Ends a search of many pages."""
        return self._call("DELETE", "/_search/scroll", {}, body)

    def put_index_template(self, name: str, body: Any) -> Any:
        """Makes or replaces an index template."""
        return self._call("PUT", f"/_index_template/{quote(name)}", {}, body)

    def _call(self, method: str, path: str, parameters: dict[str, Any], body: Any = None) -> Any:
        asked = urlencode(
            {
                name: str(value).lower() if value in (True, False) else value
                for name, value in parameters.items()
            }
        )
        request = urllib.request.Request(
            f"{self._url}{path}?{asked}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"content-type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=self._timeout_s) as reply:
                return json.loads(reply.read())
        except urllib.error.HTTPError as error:
            told = error.read().decode(errors="replace")
            node = NodeConfig("http", "127.0.0.1", 9200)
            meta = ApiResponseMeta(error.code, "1.1", HttpHeaders(), 0.0, node)
            raise ApiError(told[:500], meta, told) from error
