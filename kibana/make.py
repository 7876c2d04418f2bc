"""Writes `penstock.ndjson`: what Kibana imports (Stack Management > Saved Objects > Import).

A data view, a Discover view, and a dashboard: events over time, by host, by log file, by level. The objects have
the form that Kibana exports from 7.17 on and imports in 8.x and 9.x (it migrates older saved objects itself);
ids are fixed, so that importing again replaces. `python kibana/make.py [INDEX_PATTERN]`, default `logstash-*`.

Source: https://www.elastic.co/docs/explore-analyze/find-and-organize/saved-objects
"""

import json
import sys
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "penstock.ndjson"
KIBANA = "7.17.0"
DATA_VIEW, SEARCH, DASHBOARD = "penstock-data-view", "penstock-search", "penstock-dashboard"
SEARCH_SOURCE = "kibanaSavedObjectMeta.searchSourceJSON.index"

Object = dict[str, Any]


def text(value: Any) -> str:
    """JSON inside JSON, as saved objects have it."""
    return json.dumps(value, separators=(",", ":"))


def data_view(pattern: str) -> Object:
    attributes = {"title": pattern, "timeFieldName": "@timestamp", "fields": "[]"}
    return saved("index-pattern", DATA_VIEW, attributes, [], "7.11.0")


def search() -> Object:
    attributes = {
        "title": "penstock: events",
        "description": "All events, newest first",
        "columns": ["host.name", "log.file.path", "log.level", "message"],
        "sort": [["@timestamp", "desc"]],
        "hits": 0,
        "version": 1,
        "kibanaSavedObjectMeta": {"searchSourceJSON": text(source())},
    }
    return saved(
        "search", SEARCH, attributes, [reference(SEARCH_SOURCE, "index-pattern", DATA_VIEW)], "7.9.3"
    )


def source() -> Object:
    return {"query": {"query": "", "language": "kuery"}, "filter": [], "indexRefName": SEARCH_SOURCE}


def over_time() -> Object:
    params = {"field": "@timestamp", "interval": "auto", "min_doc_count": 1, "extended_bounds": {}}
    segment = {"id": "2", "enabled": True, "type": "date_histogram", "schema": "segment", "params": params}
    axes = {
        "type": "histogram",
        "grid": {"categoryLines": False},
        "categoryAxes": [
            {"id": "CategoryAxis-1", "type": "category", "position": "bottom", "show": True, "scale": {"type": "linear"},
             "labels": {"show": True, "truncate": 100}, "title": {}, "style": {}},
        ],
        "valueAxes": [
            {"id": "ValueAxis-1", "name": "LeftAxis-1", "type": "value", "position": "left", "show": True,
             "scale": {"type": "linear", "mode": "normal"}, "labels": {"show": True, "rotate": 0}, "style": {},
             "title": {"text": "Events"}},
        ],
        "seriesParams": [
            {"show": True, "type": "histogram", "mode": "stacked", "data": {"label": "Events", "id": "1"},
             "valueAxis": "ValueAxis-1", "drawLinesBetweenPoints": True, "showCircles": True},
        ],
        "addTooltip": True, "addLegend": False, "legendPosition": "right", "times": [], "addTimeMarker": False,
    }  # fmt: skip
    return visualization("penstock-over-time", "penstock: events over time", "histogram", axes, segment)


def table(name: str, title: str, field: str) -> Object:
    segment = {"id": "2", "enabled": True, "type": "terms", "schema": "bucket", "params": terms(field)}
    params = {"perPage": 10, "showPartialRows": False, "showMetricsAtAllLevels": False, "showTotal": False}
    return visualization(name, title, "table", params, segment)


def pie(name: str, title: str, field: str) -> Object:
    segment = {"id": "2", "enabled": True, "type": "terms", "schema": "segment", "params": terms(field)}
    params = {
        "type": "pie", "addTooltip": True, "addLegend": True, "legendPosition": "right", "isDonut": True,
        "labels": {"show": True, "values": True, "last_level": True, "truncate": 100},
    }  # fmt: skip
    return visualization(name, title, "pie", params, segment)


def terms(field: str) -> Object:
    return {
        "field": field, "orderBy": "1", "order": "desc", "size": 10, "otherBucket": True, "otherBucketLabel": "Other",
        "missingBucket": True, "missingBucketLabel": "none",
    }  # fmt: skip


def visualization(name: str, title: str, kind: str, params: Object, segment: Object) -> Object:
    count = {
        "id": "1",
        "enabled": True,
        "type": "count",
        "schema": "metric",
        "params": {"customLabel": "Events"},
    }
    attributes = {
        "title": title,
        "description": "",
        "version": 1,
        "uiStateJSON": "{}",
        "visState": text({"title": title, "type": kind, "params": params, "aggs": [count, segment]}),
        "kibanaSavedObjectMeta": {"searchSourceJSON": text(source())},
    }
    references = [reference(SEARCH_SOURCE, "index-pattern", DATA_VIEW)]
    return saved("visualization", name, attributes, references, "7.17.0")


def dashboard(panels: list[tuple[Object, int, int, int, int]]) -> Object:
    layout, references = [], []
    for number, (panel, x, y, width, height) in enumerate(panels, 1):
        grid = {"x": x, "y": y, "w": width, "h": height, "i": str(number)}
        layout.append(
            {"version": KIBANA, "type": panel["type"], "gridData": grid, "panelIndex": str(number),
             "embeddableConfig": {}, "panelRefName": f"panel_{number}"}
        )  # fmt: skip
        references.append(reference(f"{number}:panel_{number}", panel["type"], panel["id"]))
    attributes = {
        "title": "penstock: logs",
        "description": "Events over time, by host, by log file and by level",
        "hits": 0,
        "version": 1,
        "timeRestore": True,
        "timeFrom": "now-24h",
        "timeTo": "now",
        "refreshInterval": {"pause": False, "value": 10000},
        "optionsJSON": text({"useMargins": True, "syncColors": False, "hidePanelTitles": False}),
        "panelsJSON": text(layout),
        "kibanaSavedObjectMeta": {
            "searchSourceJSON": text({"query": {"query": "", "language": "kuery"}, "filter": []})
        },
    }
    return saved("dashboard", DASHBOARD, attributes, references, KIBANA)


def reference(name: str, kind: str, target: str) -> Object:
    return {"name": name, "type": kind, "id": target}


def saved(kind: str, name: str, attributes: Object, references: list[Object], migrated: str) -> Object:
    return {
        "id": name, "type": kind, "attributes": attributes, "references": references,
        "migrationVersion": {kind: migrated}, "coreMigrationVersion": KIBANA,
    }  # fmt: skip


def objects(pattern: str = "logstash-*") -> list[Object]:
    """Everything in the file, referenced objects first."""
    events = search()
    time = over_time()
    host = pie("penstock-by-host", "penstock: events by host", "host.name")
    level = pie("penstock-by-level", "penstock: events by level", "log.level")
    file = table("penstock-by-file", "penstock: events by log file", "log.file.path")
    panels = [
        (time, 0, 0, 48, 10),
        (host, 0, 10, 14, 13),
        (level, 14, 10, 14, 13),
        (file, 28, 10, 20, 13),
        (events, 0, 23, 48, 18),
    ]
    return [data_view(pattern), events, time, host, level, file, dashboard(panels)]


def lines(pattern: str = "logstash-*") -> str:
    """The file's content."""
    return "".join(text(each) + "\n" for each in objects(pattern))


if __name__ == "__main__":
    FILE.write_text(lines(*sys.argv[1:2]))
    print(FILE)
