"""All four jobs on Beam's Prism: real servers, a small input, nothing lost and nothing double, clean ends."""

import json
import os
import re
import signal
import threading

import pytest

from local.demo import evidence
from local.demo.beats_client import Shipper
from local.demo.jobs import Job
from local.processes import started_at
from local.servers.aws_server import REGION
from tests.tools.jobs.pipeline import Pipeline, log_file
from tests.tools.machine import go_programs
from tests.tools.machine.listening import listening, process_tree
from tests.tools.machine.waiting import wait_until
from tests.tools.models.archive import archived
from tests.tools.samples.two_files import two_files

pytestmark = [pytest.mark.servers, pytest.mark.xdist_group("prism"), pytest.mark.timeout(900)]

LINES = 2000


class PrismPipeline(Pipeline):
    """`Pipeline`, with every job on Prism; a further job by `start`."""

    def __init__(self, prism, *arguments):
        super().__init__(*arguments)
        self._runner = ("--runner", "PrismRunner", "--prism_location", str(prism))

    def make_job(self, name, options, folder, log_name=""):
        return Job(name, [*options, *self._runner], folder, log_name)

    def start(self, name, *options, ready=True):
        aws = ("--region", REGION, "--endpoint_url", self.aws.endpoint_url)
        return self._started(
            self.make_job(name, [*options, *aws], self.folder, f"{name}-{len(self.started)}"), ready
        )


@pytest.fixture(scope="module")
def prism():
    """The program, of the version of Beam that is installed."""
    return go_programs.prism()


@pytest.fixture
def pipeline(prism, tmp_path, elasticsearch, aws, unique_name):
    running = PrismPipeline(prism, tmp_path, elasticsearch, aws, unique_name)
    try:
        yield running
    finally:
        running.close()


def stop(job, by=signal.SIGTERM):
    """A signal to all of a job's processes, as by systemd or a Ctrl-C at the terminal: what was read is written first."""
    os.killpg(job.pid, by)
    assert job.wait(120) == 0, job.last_words()
    assert "everything read is written and acknowledged" in "\n".join(job.tail())


@pytest.mark.full
def test_the_two_files_of_logstash(pipeline):
    files = [log_file(pipeline.folder / f"{name}.log", LINES, name) for name in ("first", "second")]

    def start(name):
        options = two_files(pipeline)[name]
        job = pipeline.make_job("logstash", options, pipeline.folder, f"{name}-{len(pipeline.started)}")
        return pipeline._started(job, True)

    jobs = {name: start(name) for name in two_files(pipeline)}
    for number, (file, name) in enumerate(zip(files, jobs, strict=True), 1):
        assert Shipper("127.0.0.1", pipeline.port, [file.path], window=200).run().done
        pipeline.wait_for(number * LINES)
        jobs[name].kill()
        jobs[name] = start(name)
    found = evidence.arrival(pipeline.client, pipeline.index, files)
    assert found.exactly_once, found
    for job in jobs.values():
        stop(job)
    assert not pipeline.dead_letters()


def test_both_streaming_jobs_and_a_restart(pipeline):
    files = [log_file(pipeline.folder / f"{name}.log", LINES, name) for name in ("first", "second")]
    beats, kinesis = pipeline.start_beats(), pipeline.start_kinesis()
    # All but Prism itself, a process below the job's; it can't be told where to listen (tests/upstream).
    assert {host for host, _ in listening(beats.pid, below=False)} <= {"127.0.0.1", "::1"}
    assert Shipper("127.0.0.1", pipeline.port, [files[0].path], window=200).run().done
    pipeline.wait_for(LINES)
    stop(kinesis)
    # A job that read again what is done would write it again here.
    pipeline.client.delete_by_query(index=pipeline.index, query={"match_all": {}}, refresh=True)
    assert Shipper("127.0.0.1", pipeline.port, [files[1].path], window=200).run().done
    kinesis = pipeline.start_kinesis()
    pipeline.wait_for(LINES)
    stop(beats, signal.SIGINT)
    stop(kinesis, signal.SIGINT)
    found = evidence.arrival(pipeline.client, pipeline.index, [files[1]])
    assert found.exactly_once, found
    assert (found.documents, found.strangers) == (LINES, 0)
    assert len(pipeline.lines_in_stream()) == 2 * LINES
    assert not pipeline.dead_letters()


def test_a_killed_job_takes_prism_along_and_another_goes_on(pipeline):
    file = log_file(pipeline.folder / "lines.log", LINES)
    beats, killed = pipeline.start_beats(), pipeline.start_kinesis()
    below = process_tree(killed.pid) - {killed.pid}
    assert below
    shipper = Shipper("127.0.0.1", pipeline.port, [file.path], window=100)
    thread = threading.Thread(target=shipper.run)
    thread.start()
    pipeline.wait_for(1)
    os.kill(killed.pid, signal.SIGKILL)
    wait_until(lambda: not any(started_at(pid) for pid in below), "Prism's end")
    pipeline.start_kinesis()
    thread.join(120)
    pipeline.wait_for(LINES)
    stop(beats)
    assert evidence.arrival(pipeline.client, pipeline.index, [file]).exactly_once


@pytest.mark.full  # the same pair runs on Flink and on the DirectRunner each time
def test_an_archive_and_its_backfill(pipeline):
    kinesis, s3, bucket = pipeline.aws.client("kinesis"), pipeline.aws.client("s3"), f"b-{pipeline.name}"
    s3.create_bucket(Bucket=bucket)
    archive = pipeline.start(
        "kinesis-to-s3",
        *("--kinesis_stream_name", pipeline.name, "--application_name", f"{pipeline.name}-archive"),
        *("--archive", f"s3://{bucket}/archive", "--archive_format", "json", "--archive_compression", "gzip"),
        *("--roll_seconds", "1"),
    )
    for start in range(0, LINES, 500):
        records = [{"Data": json.dumps({"n": n}), "PartitionKey": f"{n}"} for n in range(start, start + 500)]
        assert not kinesis.put_records(StreamName=pipeline.name, Records=records)["FailedRecordCount"]

    wait_until(lambda: len(archived(s3, bucket)) >= LINES, "all records in the archive")
    stop(archive)
    assert len(archived(s3, bucket)) == len(set(archived(s3, bucket))) == LINES

    backfill = pipeline.start(
        "s3-to-elasticsearch",
        *("--input", f"s3://{bucket}/archive/", "--hosts", pipeline.elasticsearch.url),
        *("--index", f"{pipeline.name}-b"),
        *("--dead_letters", f"file://{pipeline.folder}/dead_letters/backfill.jsonl"),
        ready=False,
    )
    assert backfill.wait(120) == 0, backfill.last_words()
    said = backfill.log.read_text()
    assert re.search(rf"written +{LINES:,} ", said), "none came twice, either"
    assert pipeline.count() == LINES
    assert not pipeline.dead_letters()
