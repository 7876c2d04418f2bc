"""A `logstash.conf` is killed in the middle: nothing is lost or doubled, and what one output refuses the other has.

One chain of a file with grok, date and two outputs behind conditions; and the two files of a set-up with a stream between.
"""

import contextlib
import json
import random

import pytest

from local.demo import evidence
from local.demo.jobs import Job
from local.demo.logs import LogFile
from tests.tools.jobs.flink import CHECKPOINTS, FlinkPipeline, kill_workers, shipping
from tests.tools.jobs.pipeline import log_file
from tests.tools.machine.waiting import wait_until
from tests.tools.samples.two_files import two_files

LINES, BAD, RATE = 3000, 40, 1000
"""Of each file; a client of its own ships it, so a kill comes in its first seconds."""
TOO_LARGE = 100_000  # for a short, so the index of odd numbers refuses it

CHAIN = """
input { beats { host => "127.0.0.1" port => %(port)d } }
filter {
  grok { match => { "message" => "%%{TIMESTAMP_ISO8601:time} %%{HOSTNAME} %%{DATA:app}: %%{WORD:word} %%{INT:number}" } }
  date { match => ["time", "ISO8601"] remove_field => ["time"] }
}
output {
  if "_grokparsefailure" not in [tags] {
    if [number] =~ /[02468]$/ {
      elasticsearch { id => "even" hosts => ["%(hosts)s"] index => "%(name)s-even" }
    } else {
      elasticsearch { id => "odd" hosts => ["%(hosts)s"] index => "%(name)s-odd-%%{+YYYY}" }
    }
    if [number] == "none" { file { path => "%(folder)s/none.log" } }
  }
}
"""


def start_file(pipeline, name):
    return start(pipeline, name, *two_files(pipeline)[name])


def bad_file(pipeline):
    """A log whose lines the index of odd numbers refuses."""
    path = pipeline.folder / "bad.log"
    path.write_text("".join(
        f"2026-11-01T10:00:00Z host app[12]: line {TOO_LARGE + 2 * n + 1} .\n" for n in range(BAD)
    ))  # fmt: skip
    return LogFile(path, path.stat().st_size, BAD)


def started(pipeline, text, name, *options):
    conf = pipeline.folder / f"{name}.conf"
    conf.write_text(text % {
        "port": pipeline.port, "name": pipeline.name, "folder": pipeline.folder, "hosts": pipeline.elasticsearch.url,
    })  # fmt: skip
    return start(pipeline, name, "-f", str(conf), *options)


def start(pipeline, name, *options):
    options = (
        "--dead_letters",
        f"file://{pipeline.folder}/dead_letters/{name}.jsonl",
        *options,
    )
    if isinstance(pipeline, FlinkPipeline):
        job = pipeline.submit("logstash", *CHECKPOINTS, *options)
    else:
        job = Job("logstash", options, pipeline.folder, f"{name}-{len(pipeline.started)}")
        pipeline.started.append(job)
    return job.wait_ready()


def make_odd_index(pipeline):
    pipeline.client.indices.create(
        index=f"{pipeline.name}-odd-2026", mappings={"properties": {"number": {"type": "short"}}}
    )


def require_each_once(pipeline, good, bad):
    lines = LINES * len(good)
    pipeline.wait_for(lines)
    found = evidence.arrival(pipeline.client, pipeline.index, good)
    assert found.exactly_once, found
    assert found.documents == lines, found
    for kind, remainder in (("even", 0), ("odd-2026", 1)):
        index = f"{pipeline.name}-{kind}"
        assert evidence.count_documents(pipeline.client, index) == lines // 2
        hits = pipeline.client.search(index=index, size=50)["hits"]["hits"]
        assert {int(hit["_source"]["number"]) % 2 for hit in hits} == {remainder}
        assert {hit["_source"]["@timestamp"] for hit in hits} == {"2026-11-01T10:00:00.000Z"}
    letters = pipeline.dead_letters()
    refused = {(json.loads(each["data"])["log"]["offset"], each["output"], each["stage"]) for each in letters}
    assert {output for _, output, _ in refused} == {"odd"}
    assert len(refused) == BAD, refused
    assert len({each["id"] for each in letters if each["id"]}) == BAD
    assert not (pipeline.folder / "none.log").exists()


@pytest.mark.servers
@pytest.mark.kills
def test_a_killed_chain_loses_and_doubles_nothing_and_its_letters_go_again(pipeline):
    bad = bad_file(pipeline)
    good = [log_file(pipeline.folder / f"{n}.log", LINES) for n in range(2)]
    make_odd_index(pipeline)
    job = started(pipeline, CHAIN, "chain")
    with contextlib.ExitStack() as ends:
        shippers = [ends.enter_context(shipping(pipeline.port, bad, RATE))]
        for file in good:
            shippers.append(ends.enter_context(shipping(pipeline.port, file, RATE)))
            at = random.randrange(200, 800)
            wait_until(lambda at=at: shippers[-1].counts.acknowledged >= at, f"{at} lines")
            job.kill()
            assert not shippers[-1].counts.done, "killed too late to prove anything"
            job = started(pipeline, CHAIN, "chain")
        wait_until(lambda: all(each.counts.done for each in shippers), "the last acknowledgements")
    require_each_once(pipeline, good, bad)
    job.finish()

    pipeline.client.indices.delete(index=f"{pipeline.name}-odd-2026")  # the next one takes any number
    store = f"file://{pipeline.folder}/dead_letters/chain.jsonl"
    again = Job(
        "logstash",
        (
            "-f",
            f"{pipeline.folder}/chain.conf",
            "--replay",
            store,
            "--dead_letters",
            f"file://{pipeline.folder}/again",
        ),
        pipeline.folder,
        "replay",
    )
    pipeline.started.append(again)
    assert again.wait(120) == 0, again.last_words()
    # Counting refreshes the index, which makes the documents found.
    assert evidence.count_documents(pipeline.client, f"{pipeline.name}-odd-2026") == BAD
    found = evidence.arrival(pipeline.client, f"{pipeline.name}-odd-2026", [bad])
    assert found.exactly_once, found
    assert evidence.count_documents(pipeline.client, f"{pipeline.name}-even") == LINES


@pytest.mark.servers
@pytest.mark.xdist_group("flink")
@pytest.mark.kills
@pytest.mark.full
def test_on_flink_too(flink, elasticsearch, aws, tmp_path, unique_name):
    running = FlinkPipeline(flink, tmp_path, elasticsearch, aws, unique_name)
    with contextlib.closing(running):
        bad, good = bad_file(running), log_file(running.folder / "good.log", LINES)
        make_odd_index(running)
        started(running, CHAIN, "chain")
        with contextlib.ExitStack() as ends:
            shippers = [ends.enter_context(shipping(running.port, file, 300)) for file in (good, bad)]
            running.until(lambda: shippers[0].counts.acknowledged >= LINES / 4, "a quarter of the lines")
            kill_workers(flink)
            assert not shippers[0].counts.done, "killed too late to prove anything"
            running.until(lambda: all(each.counts.done for each in shippers), "the last acknowledgement")
        require_each_once(running, [good], bad)


@pytest.mark.servers
@pytest.mark.kills
@pytest.mark.full
def test_the_two_files_lose_and_double_nothing(pipeline):
    """Either job is killed in the middle, as in `test_kills.py`."""
    names = list(two_files(pipeline))
    jobs = {name: start_file(pipeline, name) for name in names}
    files = [log_file(pipeline.folder / f"{name}.log", LINES) for name in names]
    with contextlib.ExitStack() as ends:
        shippers = []
        for file, name in zip(files, names, strict=True):
            shippers.append(ends.enter_context(shipping(pipeline.port, file, RATE)))
            at = random.randrange(200, 800)
            wait_until(lambda at=at: shippers[-1].counts.acknowledged >= at, f"{at} lines")
            jobs[name].kill()
            assert not shippers[-1].counts.done, "killed too late to prove anything"
            if name == "beats-to-kinesis":
                acknowledged = shippers[-1].counts.acknowledged
                assert len(pipeline.lines_in_stream()) >= acknowledged
            jobs[name] = start_file(pipeline, name)
        wait_until(lambda: all(each.counts.done for each in shippers), "the last acknowledgements")
    pipeline.wait_for(2 * LINES)
    require_all_once(pipeline, files)
    for job in jobs.values():
        job.finish()


@pytest.mark.servers
@pytest.mark.xdist_group("flink")
@pytest.mark.kills
@pytest.mark.full
def test_the_two_files_on_flink(flink, elasticsearch, aws, tmp_path, unique_name):
    """The workers of both are killed, twice, and Flink starts them again."""
    running = FlinkPipeline(flink, tmp_path, elasticsearch, aws, unique_name)
    with contextlib.closing(running):
        for name in two_files(running):
            start_file(running, name)
        files = [log_file(running.folder / f"{number}.log", LINES) for number in range(2)]
        for file in files:
            with shipping(running.port, file, 300) as shipper:
                running.until(lambda: shipper.counts.acknowledged >= LINES / 4, "a quarter of the lines")
                kill_workers(flink)
                assert not shipper.counts.done, "killed too late to prove anything"
                running.until(lambda: shipper.counts.done, "the last acknowledgement")
        running.until(lambda: running.count() >= LINES * len(files), "all documents")
        require_all_once(running, files)


def require_all_once(pipeline, files):
    found = evidence.arrival(pipeline.client, pipeline.index, files)
    assert found.exactly_once, found
    assert found.documents == LINES * len(files)
    assert not pipeline.dead_letters()
