"""`elasticsearch` holds indices in memory, as far as `WriteToElasticsearch` needs them: bulks, ids and versions."""

import itertools
from collections.abc import Callable
from typing import Any

import orjson

from penstock.testing.http import HttpPeer, Reply, Request
from penstock.transforms.batch import Document

__all__ = ["InMemoryElasticsearch"]


class InMemoryElasticsearch(HttpPeer):
    """Indices in memory; give the sink its `url` as `hosts`.

    Actions do what the bulk API's documentation says: `create` refuses an id that is there (409), `index` replaces it,
    `update` merges `doc` into it, `delete` removes it. It has no mappings, searches or templates.

    Args:
        refuse: gives the reason why a document is refused, or None; a refused one gets a 400.

    Example:
        >>> import apache_beam as beam
        >>> from penstock.io.elasticsearch import WriteToElasticsearch
        >>> from penstock.testing import InMemoryElasticsearch
        >>> with InMemoryElasticsearch() as elasticsearch:
        ...     with beam.Pipeline(runner="FnApiRunner") as pipeline:
        ...         lines = pipeline | beam.Create(["a line", '{"user": "ann"}'])
        ...         _ = lines | WriteToElasticsearch(hosts=elasticsearch.url, index="lines")
        ...     elasticsearch.documents("lines")
        [{'message': 'a line'}, {'user': 'ann'}]
    """

    def __init__(self, refuse: Callable[[Document], str | None] | None = None) -> None:
        self._refuse = refuse
        self._indices: dict[str, dict[str, Document]] = {}
        self._ids = itertools.count(1)
        super().__init__()

    def documents(self, index: str) -> list[Document]:
        """Gives the documents of an index or data stream, in the order of their coming."""
        return list(self.by_id(index).values())

    def by_id(self, index: str) -> dict[str, Document]:
        """Gives the same by their ids."""
        with self._lock:
            return dict(self._indices.get(index, {}))

    def _reply(self, request: Request) -> Reply:
        path, headers = request.path.partition("?")[0], {"content-type": "application/json"}
        headers["x-elastic-product"] = "Elasticsearch"
        if path.endswith("/_bulk") and request.method == "POST":
            with self._lock:
                items = self._bulk(request.body.split(b"\n")[:-1])
            errors = any("error" in result for item in items for result in item.values())
            return Reply(200, orjson.dumps({"took": 1, "errors": errors, "items": items}), headers)
        if path == "/":
            about = {
                "cluster_name": "in-memory",
                "version": {"number": "9.0.0"},
                "tagline": "You Know, for Search",
            }
            return Reply(200, orjson.dumps(about), headers)
        return Reply(
            404, b'{"error":{"type":"not_found","reason":"in memory there are only bulks"}}', headers
        )

    def _bulk(self, lines: list[bytes]) -> list[dict[str, Any]]:
        items, rest = [], iter(lines)
        for line in rest:
            ((action, target),) = orjson.loads(line).items()
            source = {} if action == "delete" else orjson.loads(next(rest))
            documents = self._indices.setdefault(target["_index"], {})
            name = target.get("_id") or f"in-memory-{next(self._ids)}"
            status, kind, reason = self._do(action, documents, name, source)
            result: dict[str, Any] = {"_index": target["_index"], "_id": name, "status": status}
            if kind:
                result["error"] = {"type": kind, "reason": reason}
            items.append({action: result})
        return items

    def _do(
        self, action: str, documents: dict[str, Document], name: str, source: dict[str, Any]
    ) -> tuple[int, str, str]:
        """Gives the status, and the type and reason of an error."""
        there = name in documents
        if action == "delete":
            return (200, "", "") if documents.pop(name, None) is not None else (404, "", "")
        document = source
        if action == "update":
            if not there and not source.get("doc_as_upsert") and "upsert" not in source:
                return 404, "document_missing_exception", f"[{name}]: document missing"
            upsert = source["upsert"] if not there and "upsert" in source else source.get("doc", {})
            document = {**documents.get(name, {}), **upsert}
        elif action == "create" and there:
            return (
                409,
                "version_conflict_engine_exception",
                f"[{name}]: version conflict, document already exists",
            )
        reason = self._refuse(document) if self._refuse else None
        if reason:
            return 400, "document_parsing_exception", reason
        documents[name] = document
        return (200 if there else 201), "", ""
