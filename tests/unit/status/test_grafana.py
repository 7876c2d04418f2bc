"""The dashboard file: importable as it stands, and every expression names metrics and labels that a job really gives."""

import json
import re
from pathlib import Path

import pytest

from penstock.io.chain.live_objects import LIVE, LiveSource
from penstock.io.chain.source_status import ShardStatus
from penstock.io.elasticsearch import writer  # noqa: F401  declares its meters
from penstock.io.kinesis.lease import coordinator  # noqa: F401
from penstock.io.meters import METERS
from penstock.pipelines.status import Monitor
from penstock.pipelines.status.step_meters import Step
from tests.tools.models.grafana import DASHBOARD, expressions, metrics_in, types_in


class Source(LiveSource):
    def peers(self):
        return [ShardStatus("shardId-1", 0.5, 10, 100, 2, "49:3", 3.0, unwritten=True)]


@pytest.fixture(scope="module")
def answer():
    LIVE.close()
    LIVE.get("beats x", lambda: Source("beats x", max_pending_events=1, max_pending_bytes=1))
    METERS.requested("elasticsearch_bulk", 0.1)
    METERS.delivery.of("s").observe(1)
    text = Monitor("job", "r", [Step("a", metered=True)]).metrics().decode()
    LIVE.close()
    return text


@pytest.mark.parametrize("expression", expressions())
def test_expressions(expression, answer):
    kinds = types_in(answer)
    found = metrics_in(expression)
    assert found
    assert found <= set(kinds), expression
    for name in re.findall(r"rate\((\w+)|increase\((\w+)", expression):
        family = re.sub(r"_bucket$", "", "".join(name))
        assert kinds[family] in ("counter", "histogram"), f"a rate of no counter: {expression}"
    assert 'instance=~"$instance"' in expression
    assert expression.count("(") == expression.count(")")
    assert expression.count("{") == expression.count("}")


def test_labels():
    declared = {label for family in (*METERS.counters, *METERS.histograms) for label in family.labels}
    declared |= {"source", "shard_id", "name", "version", "instance", "le"}
    for expression in expressions():
        grouped = re.findall(r"(?:by|on|group_left) \(([^)]*)\)", expression)
        used = {label.strip() for group in grouped for label in group.split(",")}
        assert used <= declared, expression


def test_each_panel():
    board = json.loads(DASHBOARD.read_text())
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, f"{panel['title']} lies on another panel"
        assert place["x"] + place["w"] <= 24
        taken |= cells
        if panel["type"] == "row":
            continue
        assert panel["description"]
        assert panel["datasource"]["uid"] == "${datasource}"
        if panel["type"] == "timeseries":
            # What Grafana's schema asks for; without showLegend there is no legend.
            assert panel["options"]["legend"].items() >= {"showLegend": True, "calcs": []}.items()
            assert panel["options"]["tooltip"]["sort"] == "desc"
        for target in panel["targets"]:
            labels = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            grouped = {
                label.strip()
                for group in re.findall(r"(?:by|group_left) \(([^)]*)\)", target["expr"])
                for label in group.split(",")
            }
            assert labels <= grouped, target["expr"]
    assert not re.search(r"https?://", Path(DASHBOARD).read_text()), "nothing of this points elsewhere"
