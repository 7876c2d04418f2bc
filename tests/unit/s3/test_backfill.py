"""The backfill's graph and job: batches, throttle, progress, dry run, reports; on files, with no server."""

import itertools
import json
from types import SimpleNamespace
from typing import ClassVar

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import orc

from penstock.io.aws.session import AwsOptions
from penstock.io.chain.acknowledge import _AcknowledgeDoFn
from penstock.io.chain.live_objects import LIVE, LiveReceipt
from penstock.io.dead_letters import WriteDeadLetters
from penstock.io.errors import DeliveryError
from penstock.io.s3 import (
    AddObjectProperties,
    Finished,
    FinishUnits,
    Listed,
    ReadFromS3,
    Stores,
    list_objects,
)
from penstock.io.s3.options import S3ReadOptions
from penstock.io.s3.units.estimate import estimate
from penstock.io.s3.units.finish import UnitsReceipt, _FinishDoFn
from penstock.io.s3.units.manifest import open_manifest
from penstock.io.s3.units.tally import Counts, read_counts
from penstock.io.s3.units.throttle import Throttle
from penstock.pipelines.jobs import s3_to_elasticsearch
from penstock.pipelines.run import batch as batch_job
from penstock.pipelines.run.progress import Display, Workload
from penstock.transforms.batch import EventBatch
from penstock.transforms.decode import DecodeJson
from penstock.transforms.document import document_of

AWS = AwsOptions()


@pytest.fixture(autouse=True)
def _closed():
    yield
    LIVE.close()


@pytest.fixture
def folder(tmp_path):
    for number in range(5):
        rows = [json.dumps({"n": number * 100 + place}) for place in range(100)]
        (tmp_path / f"{number}.json").write_text("\n".join(rows) + "\n")
    return tmp_path


class Collect(beam.DoFn):
    batches: ClassVar[list] = []

    def process(self, batch):
        Collect.batches.append(batch)
        yield batch


def run(options, finished=None, folder=""):
    Collect.batches = []
    stores = Stores(options, AWS, LIVE.stopping)
    objects = list_objects(options, stores)
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        _ = (
            pipeline
            | ReadFromS3(objects, options, AWS, finished=finished, folder=folder)
            | DecodeJson(keep_documents=True)
            | AddObjectProperties()
            | beam.ParDo(Collect())
            | WriteDeadLetters("file:///dev/null")
            | FinishUnits(options.manifest, AWS, folder)
        )
    return Collect.batches


def test_small_objects_share_batches_and_are_noted_when_they_are_written(folder, tmp_path_factory):
    told = tmp_path_factory.mktemp("told")
    manifest = f"file://{told}/manifest"
    options = S3ReadOptions(input=[str(folder)], manifest=manifest, max_batch_events=300)
    batches = run(options, folder=str(told))
    assert [len(batch.events) for batch in batches] == [300, 200]
    assert sorted(document_of(event)["n"] for batch in batches for event in batch.events) == list(range(500))
    properties = document_of(batches[0].events[3])["@metadata"]["s3"]
    assert properties["key"].startswith(str(folder))
    assert properties["index"] == 3
    LIVE.close()
    assert read_counts(told) == Counts(
        units=5,
        objects=5,
        bytes=sum(f.stat().st_size for f in folder.glob("*.json")),
        read=500,
        delivered=500,
    )
    finished = Finished(open_manifest(manifest, AWS).read())
    assert run(options, finished) == []


def test_batches_keep_both_bounds(folder, tmp_path_factory, monkeypatch):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.chdir(elsewhere)
    for options in ({"max_batch_events": 30}, {"max_batch_bytes": 200}):
        batches = run(S3ReadOptions(input=[str(folder)], **options))
        assert sum(len(batch.events) for batch in batches) == 500
        for batch in batches:
            assert len(batch.events) <= options.get("max_batch_events", 500)
            assert sum(len(event.data) for event in batch.events) <= options.get("max_batch_bytes", 1 << 20)
    LIVE.close()
    assert not list(elsewhere.iterdir()), "without a folder nothing is told"


def test_each_receipt_ends_in_its_own_step():
    """A backfill in Acknowledge, or a live batch in FinishUnits, would be noted nowhere: both are said."""
    with pytest.raises(DeliveryError, match="FinishUnits"):
        list(_AcknowledgeDoFn().process(EventBatch(UnitsReceipt([]), [], [])))
    with pytest.raises(DeliveryError, match="Acknowledge"):
        list(_FinishDoFn(None, AwsOptions(), "").process(EventBatch(LiveReceipt("k", [1]), [], [])))


def test_rows_and_lines_in_one_batch_arrive_once_each(folder):
    pq.write_table(pa.table({"n": [1000, 1001]}), folder / "rows.parquet")
    (batch,) = run(S3ReadOptions(input=[str(folder)]))
    assert sorted(document_of(event)["n"] for event in batch.events) == [*range(500), 1000, 1001]
    assert all(event.id for event in batch.events)


def test_the_throttle_keeps_its_rate():
    now, waited = [0.0], []

    def wait(seconds):
        waited.append(seconds)
        now[0] += seconds
        return False

    throttle = Throttle(100.0, wait, lambda: now[0])
    for _ in range(20):
        throttle.take(50)
    assert now[0] == pytest.approx(9.5)
    now[0] += 100  # a pause isn't saved up beyond a second
    throttle.take(100)
    throttle.take(100)
    before = now[0]
    throttle.take(100)
    assert now[0] - before == pytest.approx(1.0)


def test_an_estimate_is_near_the_truth(folder):
    options = S3ReadOptions(input=[str(folder)])
    stores = Stores(options, AWS, LIVE.stopping)
    found = estimate(Listed(list_objects(options, stores)), options, stores)
    assert found.objects == 5
    assert found.events == 500


def test_an_estimate_counts_the_requests(folder, monkeypatch):
    """Half a second until the first byte of each object, eight of which are fetched at a time."""
    options = S3ReadOptions(input=[str(folder)])
    stores = Stores(options, AWS, LIVE.stopping)
    listed = Listed(list_objects(options, stores))
    ticks = itertools.count(0, 0.5)
    monkeypatch.setattr("penstock.io.s3.units.estimate.time", SimpleNamespace(monotonic=lambda: next(ticks)))
    assert estimate(listed, options, stores).requests_s == pytest.approx(0.5 * 5 / 8)


def test_a_dry_run_reads_nothing_and_says_what_it_would(folder, capsys, monkeypatch):
    monkeypatch.setattr(batch_job, "set_up_logging", lambda level: None)
    manifest = f"file://{folder}/made/manifest"
    code = s3_to_elasticsearch.JOB.main(
        ["--input", f"{folder}/[0-2].json", "--dry_run", "--hosts", "127.0.0.1:9", "--manifest", manifest]
    )
    assert not (folder / "made").exists()
    out, _ = capsys.readouterr()
    assert code == 0
    assert "objects: 3 to read, 0 finished before" in out
    assert "events: about 300 (from 3 objects sampled)" in out


def test_a_dry_run_names_what_can_t_be_read(folder, capsys, monkeypatch):
    monkeypatch.setattr(batch_job, "set_up_logging", lambda level: None)
    (folder / "a.zip").write_bytes(b"PK\x03\x04" + bytes(100))
    assert (
        s3_to_elasticsearch.JOB.main(["--input", f"{folder}/a.zip", "--dry_run", "--hosts", "127.0.0.1:9"])
        == 0
    )
    out, _ = capsys.readouterr()
    assert (
        f"not readable: {folder}/a.zip: the object is a zip archive, which is not read: unpack it first"
        in out
    )


def test_a_dry_run_shows_the_first_events_of_each_kind_of_object(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(batch_job, "set_up_logging", lambda level: None)
    pq.write_table(pa.table({"n": range(9)}), tmp_path / "a.parquet")
    orc.write_table(pa.table({"n": range(9)}), tmp_path / "b.orc")
    for name in ("c.json", *(f"d{n}.jsonl" for n in range(20))):
        (tmp_path / name).write_bytes(
            b'{"@timestamp":"2026-11-22T00:00:00Z","n":0}\n' * 9 + b'{"long":"%b"}' % (b"x" * 5000)
        )
    (tmp_path / "e.txt").write_bytes(b"no\njson\n")
    (tmp_path / "f.log").write_bytes(b'{"n":2}\nno json\n')
    assert (
        s3_to_elasticsearch.JOB.main(["--input", str(tmp_path), "--dry_run", "--hosts", "127.0.0.1:9"]) == 0
    )
    out, _ = capsys.readouterr()
    for name, document in (
        ("a.parquet", '"n":2}'),
        ("b.orc", '"n":2}'),
        ("c.json", '"@timestamp":"2026-11-22T00:00:00Z","n":0}'),
    ):
        heading, shown = (
            f"first events of {tmp_path}/{name}, as they would be stored:\n",
            out.partition(f"/{name}, as ")[2],
        )
        assert heading in out
        lines = shown.splitlines()[1:4]
        assert all(line.startswith('    {"@timestamp":') for line in lines)
        assert lines[2].endswith(document)
        assert len(shown.splitlines()) < 5 or not shown.splitlines()[4].startswith("    {")
    assert out.count(".jsonl, as") == 1
    assert f"not decodable among them: {tmp_path}/f.log: " in out
    assert f"not decodable: {tmp_path}/e.txt: " in out
    assert "events: about " in out


def test_nothing_to_read_is_an_error_of_one_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(batch_job, "set_up_logging", lambda level: None)
    assert s3_to_elasticsearch.JOB.main(["--input", str(tmp_path / "nothing")]) == 1
    _, err = capsys.readouterr()
    assert (
        err
        == f"penstock s3-to-elasticsearch: --input {tmp_path / 'nothing'}: there is nothing of that name.\n"
    )


@pytest.mark.parametrize("option", ["--input", "--workers=0", "--format=xml"])
def test_wrong_options_end_with_2(option, capsys):
    with pytest.raises(SystemExit) as ended:
        s3_to_elasticsearch.JOB.main([option] if option == "--input" else ["--input", "x", option])
    assert ended.value.code == 2
    assert option.partition("=")[0] in capsys.readouterr().err


def finish(capsys, *, refused=0, allowed=False, stopped=False):
    job = batch_job.BatchJobOptions(allow_dead_letters=allowed)
    counts = Counts(units=3, bytes=5, read=10, delivered=10 - refused, refused=refused)
    code = batch_job._report_outcome(
        "job", job, Workload(3, 100, 2), counts, {"elasticsearch/replays": 4}, 2.0, stopped=stopped
    )
    return code, capsys.readouterr().err


def test_reports_and_exit_codes(capsys):
    code, text = finish(capsys)
    assert code == 0
    assert "there already             4" in text
    assert "written                   6" in text
    assert "2 more were finished before" in text
    assert finish(capsys, refused=1)[0] == 1
    assert finish(capsys, refused=1, allowed=True)[0] == 0
    assert finish(capsys, stopped=True)[0] == 3


def test_the_display_says_how_far_it_is(tmp_path):
    display = Display(tmp_path, Workload(10, 1_000_000, 0), "log")
    display.line(Counts(), 100.0)
    text = display.line(Counts(units=20, objects=5, bytes=500_000, delivered=2000), 110.0)
    assert " 50.0%" in text
    assert "5 of 10 objects" in text
    assert "200/s" in text
    assert "10.0 s left" in text
