"""A real Prometheus on both jobs: it scrapes them, evaluates what the dashboard asks, and raises the alarms."""

import json
import re
import threading
from pathlib import Path

import pytest

from local.demo.beats_client import Shipper
from tests.tools.jobs.pipeline import log_file
from tests.tools.machine.waiting import wait_until
from tests.tools.models import grafana
from tests.tools.peers import prometheus

pytestmark = pytest.mark.servers

QUIET = {"penstock_retries_total"}
"""What has no series in a job that nothing troubles."""


def address_of(job):
    return wait_until(lambda: re.search(r"status page: http://(\S+)/", job.log.read_text()), "the page")[1]


def test_both_jobs_the_dashboard_and_the_alarms(pipeline, tmp_path):
    beats = pipeline.start_beats("--status_port", "0")
    kinesis = pipeline.start_kinesis("--status_port", "0")
    file = log_file(pipeline.folder / "a.log", 100_000)
    shipper = Shipper("127.0.0.1", pipeline.port, [file.path], rate=200, window=50)
    threading.Thread(target=shipper.run, daemon=True).start()
    writer = pipeline.aws.client("kinesis")
    writer.put_record(StreamName=pipeline.name, Data=b"not json", PartitionKey="k")
    targets = [address_of(beats), address_of(kinesis)]
    with prometheus.running(tmp_path, targets) as server:
        wait_until(lambda: len(server.values('up{job="penstock"} == 1')) == 2, "both are scraped")
        for expression in grafana.expressions():
            asked = expression.replace("$instance", ".*").replace("$__rate_interval", "5m")
            if grafana.metrics_in(expression) <= QUIET:
                server.values(asked)
                continue
            found = wait_until(lambda asked=asked: server.values(asked), asked)
            assert all(each["value"][1] != "NaN" for each in found if "quantile" not in asked), asked
        known = set(server.get("label/__name__/values"))
        for rule in prometheus.rules():
            metrics = grafana.metrics_in(rule["expr"])
            assert metrics - known <= QUIET, rule["alert"]
        wait_until(
            lambda: "PenstockDeadLetters" in server.alarms(), "the alarm for the first letter of its kind"
        )
        alarm = server.alarms()["PenstockDeadLetters"]
        assert alarm["labels"]["error"] == "JSONDecodeError"
        assert alarm["annotations"]["summary"].startswith(
            f"{targets[1]} has set events aside: JSONDecodeError in "
        )
        shipper.stop()
        beats.finish()
        wait_until(lambda: "PenstockDown" in server.alarms(), "the alarm for a job that has ended")
        assert server.alarms()["PenstockDown"]["labels"]["instance"] == targets[0]
        (group,) = server.get("rules")["groups"]
        assert [rule["name"] for rule in group["rules"]] == [rule["alert"] for rule in prometheus.rules()]
        assert {(rule["health"], rule.get("lastError", "")) for rule in group["rules"]} == {("ok", "")}
    kinesis.finish()


LABELS = {
    "penstock_source_": 'source="kinesis s"',
    "penstock_shard_": 'source="kinesis s", shard_id="shardId-0"',
    "penstock_dead_letters_": 'stage="decode", error="JSONDecodeError"',
    "penstock_retries_": 'request="elasticsearch_bulk", reason="429"',
}
CASES = []


def case(alert, not_yet, fires=None, gone=None, **series):
    """At these minutes the alarm is not there yet, is there, and is gone again; what is scraped each minute."""
    scraped = []
    for name, values in series.items():
        full = name if name.startswith(("up", "process")) else f"penstock_{name}"
        labels = next((more for start, more in LABELS.items() if full.startswith(start)), "")
        scraped.append({"series": f'{full}{{job="penstock", instance="a:8080", {labels}}}', "values": values})
    CASES.append((alert, scraped, ((not_yet, False), (fires, True), (gone, False))))


case("PenstockDown", 7, 8, 12, up="1x5 0x5 1x9")
STARTS = "0x1 60x1 120x1 180x1 240x90"
case("PenstockRestarts", 8, 9, 70, process_start_time_seconds=STARTS, info="1x99")
case("PenstockRestarts", 9, process_start_time_seconds=STARTS)  # a process of another kind
case("PenstockNotReady", 15, 16, 27, ready="1x5 0x20 1x9")
case("PenstockDisconnected", 10, 11, 27, source_connected="1x5 0x20 1x9")
case("PenstockLag", 15, 16, 27, source_lag_seconds="0x5 301x20 0x9", source_intended_lag_seconds="0x99")
case("PenstockLag", 30, source_lag_seconds="900x30", source_intended_lag_seconds="900x99")
case(
    "PenstockEventsExpireSoon", 5, 6, 31,  # the stream keeps records for longer, from then on
    shard_behind_seconds="64800+60x99", shard_retention_seconds="86400x30 259200x70",
)  # fmt: skip
case("PenstockUnreadShards", 15, 16, 27, source_unread_shards="0x5 2x20 0x9")
for of in ("events", "bytes"):
    full = {f"source_pending_{of}": "10x5 95x20 10x9", f"source_pending_{of}_limit": "100x99"}
    case("PenstockFull", 15, 16, 27, **full, source_intended_lag_seconds="0x99")
    case("PenstockFull", 16, **full, source_intended_lag_seconds="900x99")
case("PenstockDeadLetters", 9, 11, 26, dead_letters_total="_x9 1x40")
case("PenstockDeadLetters", 30, 33, 48, dead_letters_total="5x30 6x30")
case("PenstockRetries", 15, 20, 50, retries_total="0x5 0+30x30 900x20")
AGES = "0x5 0+60x20 0x10"
case(
    "PenstockCheckpointsStuck", 14, 17, 28, shard_checkpoint_due="0x5 1x30", shard_checkpoint_age_seconds=AGES
)
case("PenstockCheckpointsStuck", 10, 11, 27, shard_checkpoint_due="0x5 1x20 0x9")


def test_alarms_come_when_they_should_and_go_again(tmp_path):
    firing = 'count by (alertname) (ALERTS{alertstate="firing"})'
    tests = []
    for number, (alert, scraped, expected) in enumerate(CASES):
        asked = [
            {
                "expr": firing,
                "eval_time": f"{minute}m",
                "exp_samples": [{"labels": f'{{alertname="{alert}"}}', "value": 1}] if there else [],
            }
            for minute, there in expected
            if minute is not None
        ]
        tests.append(
            {
                "name": f"{number} {alert}",
                "interval": "1m",
                "input_series": scraped,
                "promql_expr_test": asked,
            }
        )
    assert {alert for alert, *_ in CASES} == {rule["alert"] for rule in prometheus.rules()}
    settings = {"rule_files": [str(prometheus.ALERTS)], "evaluation_interval": "1m", "tests": tests}
    file = Path(tmp_path, "tests.yaml")
    file.write_text(json.dumps(settings))
    prometheus.promtool("test", "rules", file)


def test_promtool_takes_the_rules():
    assert f"{len(prometheus.rules())} rules found" in prometheus.promtool(
        "check", "rules", prometheus.ALERTS
    )
