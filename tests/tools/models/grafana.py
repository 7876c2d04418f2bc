"""Reads the dashboard file and Prometheus' text format, as far as tests need it."""

import json
import re
from pathlib import Path

DASHBOARD = Path(__file__).parents[3] / "grafana" / "penstock.json"


def expressions() -> list[str]:
    """All expressions of the dashboard."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", [])]


def metrics_in(expression: str) -> set[str]:
    """The families that an expression names."""
    names = re.findall(r"\b(?:penstock|process)_\w+", expression)
    return {re.sub(r"_seconds_(?:bucket|sum|count)$", "_seconds", name) for name in names}


def types_in(answer: str) -> dict[str, str]:
    """Each family of an answer to /metrics, and its type."""
    return dict(re.findall(r"^# TYPE (\w+) (\w+)$", answer, re.MULTILINE))
