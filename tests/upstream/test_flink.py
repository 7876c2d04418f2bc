"""Beam's portable runner on a real Flink: finalization, checkpoints' growth, where splits land, metrics."""

import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import apache_beam as beam
from apache_beam.io.unbounded_source import ReadFromUnboundedSource
from apache_beam.options.pipeline_options import PipelineOptions

from tests.tools.jobs.flink import FLINK
from tests.upstream.faults import fault

# By the name that the workers know it by.
sys.path.append(str(Path(__file__).parent / "on_workers"))
from flink_sources import FailOnce, Journal, Source

pytestmark = FLINK


@contextlib.contextmanager
def job(cluster, *branches, parallelism=1) -> Iterator[tuple]:
    """(Flink's job id, Beam's result) of a job that reads each branch's source, a bundle for every record."""
    chosen = ["--streaming", "--checkpointing_interval=1500", "--max_bundle_time_mills=5"]
    options = PipelineOptions([*cluster.options, *chosen, f"--parallelism={parallelism}"])
    pipeline = beam.Pipeline(options=options)
    for source, *steps in branches:
        values = pipeline | f"read {source.name}" >> ReadFromUnboundedSource(source, max_records_per_bundle=1)
        for number, step in enumerate(steps):
            values = values | f"{source.name} {number}" >> step
    known = {each["jid"] for each in cluster.rest.jobs()}
    result = pipeline.run()
    _wait(lambda: any(each["jid"] not in known for each in cluster.rest.jobs()), 60)
    job_id = next(each["jid"] for each in cluster.rest.jobs() if each["jid"] not in known)
    try:
        yield job_id, result
    finally:
        cluster.rest.cancel(job_id)


def _wait(condition, seconds=150):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@fault("acknowledgements may hang on bundle finalization: it comes only for what a checkpoint holds.")
def test_only_what_the_checkpoint_holds_is_finalized(flink, tmp_path):
    journal = Journal(tmp_path / "journal")
    # The slow branch keeps a checkpoint open for up to two seconds, in which the quick one closes many bundles.
    quick, slow = Source(journal, "quick", 0.02), Source(journal, "slow", 2.0)
    with job(flink, (quick, beam.ParDo(FailOnce(tmp_path / "fail"))), (slow,)):
        for count in (1, 2, 3):
            seen = len(journal.lines("final"))
            _wait(lambda seen=seen: len(journal.lines("final")) > seen + 10)
            (tmp_path / "fail").touch()
            _wait(lambda count=count: len(_restarts(journal)) >= count)
            finalized, resumed = _restarts(journal)[-1]
            assert finalized <= resumed


def _restarts(journal: Journal) -> list[tuple[int, int]]:
    """For each restart of the quick source: the last number finalized before it, and the number it resumed from."""
    found, finalized, last = [], 0, 0
    for line in journal.path.read_text().splitlines():
        what, name, number = line.split()[:3]
        if name != "quick":
            continue
        if what == "final":
            finalized = max(finalized, int(number))
        elif int(number) < last:
            found.append((finalized, int(number)))
            last, finalized = int(number), 0
        else:
            last = int(number)
    return found


@fault("checkpoints need no watching in long runs (beam#27648): a bundle leaves nothing behind in them.")
def test_checkpoints_do_not_grow_with_every_bundle(flink, tmp_path):
    journal = Journal(tmp_path / "journal")
    with job(flink, (Source(journal, "quick", 0.02),)) as (job_id, _):

        def sizes():
            history = flink.rest.call(f"/jobs/{job_id}/checkpoints")["history"]
            return [each["state_size"] for each in history if each["status"] == "COMPLETED"]

        _wait(lambda: len(sizes()) >= 1)
        before, first = len(journal.lines("reader")), sizes()[-1]
        _wait(lambda: len(journal.lines("reader")) > before + 200)
        count = len(sizes())
        _wait(lambda: len(sizes()) > count)
        bundles = len(journal.lines("reader")) - before
        assert (sizes()[0] - first) / bundles < 500, "bytes per bundle"


@fault("Split.salt and one element a split can go: one source's splits spread over the subtasks.")
def test_the_splits_of_a_source_spread(flink, tmp_path):
    journal = Journal(tmp_path / "journal")
    with job(flink, (Source(journal, "s", 0.1, splits=2),), parallelism=2):
        _wait(lambda: {each[0] for each in journal.lines("reader")} >= {"s0", "s1"})
        time.sleep(2)
    places = {name: pid for name, _, pid in journal.lines("reader")}
    assert places["s0"] != places["s1"]


@fault("counters on Flink can be had from Beam's result, without Flink's REST API.")
def test_a_running_jobs_metrics_can_be_queried(flink, tmp_path):
    journal = Journal(tmp_path / "journal")
    with job(flink, (Source(journal, "quick", 0.02), beam.ParDo(FailOnce(tmp_path / "fail")))) as (
        job_id,
        result,
    ):
        _wait(lambda: any(name.endswith("upstream_seen") for name in flink.rest.metrics(job_id)))
        counters = result.metrics().query()["counters"]
        assert any(each.key.metric.name == "seen" for each in counters)
