"""Lines go in at a Beats connection and come out of a real Elasticsearch; and what else may come in."""

import datetime
import json
import signal
import statistics
import threading
import time

import pytest

from local.demo import evidence
from local.demo.beats_client import Shipper, Source
from local.demo.logs import LogFile, offsets
from tests.tools.jobs.pipeline import log_file, texts
from tests.tools.machine.waiting import wait_until
from tests.tools.peers import lumberjack

pytestmark = pytest.mark.servers


def in_thread(shipper):
    thread = threading.Thread(target=shipper.run, daemon=True)
    thread.start()
    return thread


def stopped(job):
    """Ends a job as systemd would; True when it was a clean end."""
    job.finish()
    return job.exit_code == 0


@pytest.mark.parametrize("native", ["1", "0"], ids=["kernels", "without kernels"])
def test_every_line_arrives_once_and_unaltered(pipeline, native, monkeypatch):
    monkeypatch.setenv("PENSTOCK_NATIVE", native)
    odd = pipeline.folder / "odd.log"
    odd.write_bytes(
        "Zoë sagt 你好 🚰\r\n\n\ttabs and \"quotes\" and \\ and \x01 and \x7f\n".encode()
        + b"x" * 200_000 + b"\n" + b"not UTF-8: \xff\xfe\n" + b"last line, still being written"
    )  # fmt: skip
    size = odd.stat().st_size
    files = [log_file(pipeline.folder / f"{n}.log", 1000, f"file {n}") for n in range(3)]
    files.append(LogFile(odd, size, sum(1 for _ in offsets(odd, size))))
    assert files[-1].lines == 4
    beats, kinesis = pipeline.start_beats(), pipeline.start_kinesis()

    counts = Shipper("127.0.0.1", pipeline.port, [Source(file.path) for file in files], window=500).run()
    assert counts.done
    assert counts.shipped == counts.acknowledged == 3004
    pipeline.wait_for(3004)
    assert stopped(beats)
    assert stopped(kinesis)

    found = evidence.arrival(pipeline.client, pipeline.index, files)
    assert found.exactly_once, found
    assert found.documents == 3004
    assert not found.strangers
    stream = evidence.count_stream(pipeline.aws.client("kinesis"), pipeline.name)
    assert stream.events == 3004
    assert stream.aggregated > 0
    assert stream.records < 300
    assert not pipeline.dead_letters()
    said = {
        (document["log"]["file"]["path"], document["log"]["offset"]): document["message"]
        for document in pipeline.documents()
    }
    assert {
        (str(odd), begin): text for begin, text in _texts_with_replacements(files[-1])
    }.items() <= said.items()
    for file in files[:3]:
        assert {(str(file.path), begin): text for begin, text in texts(file).items()}.items() <= said.items()
    today = datetime.datetime.now(datetime.UTC)
    names = set(pipeline.client.indices.get(index=pipeline.index))
    assert names <= {
        f"{pipeline.name}-{day:%Y.%m.%d}" for day in (today, today - datetime.timedelta(minutes=10))
    }


def _texts_with_replacements(file):
    data = file.path.read_bytes()
    for begin, after in offsets(file.path, file.end):
        yield begin, data[begin:after].rstrip(b"\r\n").decode("utf-8", "replace")


def test_a_restarted_job_goes_on_where_its_checkpoint_stands(pipeline):
    first, second = (log_file(pipeline.folder / f"{n}.log", 700, n) for n in ("first", "second"))
    pipeline.start_beats()
    kinesis = pipeline.start_kinesis()
    assert Shipper("127.0.0.1", pipeline.port, [first.path]).run().done
    pipeline.wait_for(700)
    assert stopped(kinesis)
    # Whatever a restarted job read again would be written again here, and counted.
    pipeline.client.delete_by_query(index=pipeline.index, query={"match_all": {}}, refresh=True)
    kinesis = pipeline.start_kinesis()
    assert Shipper("127.0.0.1", pipeline.port, [second.path]).run().done
    pipeline.wait_for(700)
    assert stopped(kinesis), "with it, all that it had read is written"
    found = evidence.arrival(pipeline.client, pipeline.index, [second])
    assert (found.documents, found.missing, found.strangers) == (700, 0, 0)


def test_what_is_not_json_goes_to_the_dead_letters_and_the_stream_goes_on(pipeline):
    kinesis = pipeline.aws.client("kinesis")
    bad = [b"not json", b'{"half": ', b"\xff\xfe\x00", b"[17]"]
    for number, data in enumerate([json.dumps({"n": 0}).encode(), *bad, json.dumps({"n": 1}).encode()]):
        kinesis.put_record(StreamName=pipeline.name, Data=data, PartitionKey=f"key-{number}")
    job = pipeline.start_kinesis()
    pipeline.wait_for(2)
    letters = wait_until(lambda: len(found := pipeline.dead_letters()) >= 4 and found, "four dead letters")
    assert stopped(job)
    assert sorted(document["n"] for document in pipeline.documents()) == [0, 1]
    assert len(letters) == 4
    assert {letter.get("data") for letter in letters} == {"not json", '{"half": ', "17", None}
    for letter in letters:
        assert letter["stage"] == "decode"
        assert letter["error"]
        assert letter["reason"]
        assert pipeline.name in json.dumps(letter["origin"])
        assert "shardId-" in json.dumps(letter["origin"])


def test_what_elasticsearch_refuses_goes_to_the_dead_letters_once(pipeline):
    pipeline.client.indices.create(
        index=f"{pipeline.name}-2026.11.01", mappings={"properties": {"n": {"type": "integer"}}}
    )
    kinesis = pipeline.aws.client("kinesis")
    for value in (1, "a word", 2):
        event = {"@timestamp": "2026-11-01T10:00:00Z", "n": value}
        kinesis.put_record(StreamName=pipeline.name, Data=json.dumps(event), PartitionKey="k")
    job = pipeline.start_kinesis()
    pipeline.wait_for(2)
    letters = wait_until(pipeline.dead_letters, "a dead letter")
    assert stopped(job)
    assert len(letters) == 1
    assert letters[0]["stage"] == "elasticsearch"
    assert letters[0]["status"] == 400
    assert json.loads(letters[0]["data"])["n"] == "a word"
    # Its checkpoint stands behind the refused event: it does not come again.
    pipeline.start_kinesis("--stop_when_idle", "2").wait(60)
    assert len(pipeline.dead_letters()) == 1


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
        b"2W\x00\x00\x00\x01" + b"2C\x00\x00\x00\x08notzlib!",
        b"2W\x00\x00\x00\x01" + b"2J\x00\x00\x00\x01\xff\xff\xff\xff",
    ],
    ids=["http", "tls", "no-zlib", "giant"],
)
def test_a_garbage_client_is_disconnected_and_others_are_not(pipeline, garbage):
    beats = pipeline.start_beats()
    good = lumberjack.Client(("127.0.0.1", pipeline.port))
    good.send(lumberjack.whole_window(lumberjack.payloads(3)))
    assert good.acks_until(3)[-1] == 3
    bad = lumberjack.Client(("127.0.0.1", pipeline.port))
    name = "{}:{}".format(*bad.socket.getsockname())
    bad.send(garbage)
    assert bad.read_to_end() == b""
    good.send(lumberjack.whole_window(lumberjack.payloads(3)))
    assert good.acks_until(3)[-1] == 3
    good.close()
    log = wait_until(lambda: name in (text := beats.log.read_text()) and text, f"a log line about {name}")
    assert log.count(name) == 1, log
    assert "Traceback" not in log
    assert stopped(beats)


def test_a_client_that_closes_in_the_middle_costs_nobody_anything(pipeline):
    beats = pipeline.start_beats()
    whole = lumberjack.whole_window(lumberjack.payloads(50, size=100))
    with lumberjack.Client(("127.0.0.1", pipeline.port)) as leaving:
        leaving.send(whole[: len(whole) // 2])
    with lumberjack.Client(("127.0.0.1", pipeline.port)) as staying:
        staying.send(whole)
        assert staying.acks_until(50)[-1] == 50
    assert stopped(beats)
    assert evidence.count_stream(pipeline.aws.client("kinesis"), pipeline.name).events == 50


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_stop_in_the_middle_is_clean(pipeline, number):
    """Exit code 0; what was acknowledged is in the stream; after a restart the rest comes, once."""
    file = log_file(pipeline.folder / "a.log", 6000)
    beats, kinesis = pipeline.start_beats(), pipeline.start_kinesis()
    shipper = Shipper("127.0.0.1", pipeline.port, [file.path], rate=3000, window=100, backoff_s=(0.2, 0.4))
    thread = in_thread(shipper)
    wait_until(lambda: shipper.counts.acknowledged > 1000, "a thousand acknowledged")
    for job in (beats, kinesis):
        job.signal(number)
        assert job.wait(120) == 0, job.last_words()
        assert "Traceback" not in job.log.read_text()
    acknowledged = shipper.counts.acknowledged
    assert acknowledged < 6000, "the stop came too late to prove anything"
    assert len(pipeline.lines_in_stream()) >= acknowledged
    pipeline.start_beats()
    pipeline.start_kinesis()
    thread.join(120)
    assert shipper.counts.done
    pipeline.wait_for(6000)
    found = evidence.arrival(pipeline.client, pipeline.index, [file])
    assert found.exactly_once, found
    assert not pipeline.dead_letters()


def test_stop_when_idle(pipeline):
    """Each job by itself: beside each other, the first would be idle before the second has started."""
    file = log_file(pipeline.folder / "a.log", 100)
    shipper = Shipper("127.0.0.1", pipeline.port, [file.path], backoff_s=(0.1, 0.2))
    thread = in_thread(shipper)
    assert pipeline.start_beats("--stop_when_idle", "3").wait(120) == 0
    thread.join(60)
    assert shipper.counts.done
    assert pipeline.start_kinesis("--stop_when_idle", "3").wait(120) == 0
    assert pipeline.count() == 100


def test_a_trickle_arrives_within_a_second(pipeline):
    """One event a second; a get by id sees a document at once, whatever the index's refresh interval is.

    Seven in a row that do are enough: a busy machine gets some time to find its quiet seconds.
    """
    pipeline.start_beats()
    pipeline.start_kinesis()
    seconds = []

    def quick():
        # The first event meets cold code, and makes the index.
        return len(seconds) > 7 and statistics.median(seconds[-7:]) < 1.0

    with lumberjack.Client(("127.0.0.1", pipeline.port)) as client:
        for number in range(60):
            if quick():
                break
            shipped = time.monotonic()
            event = {
                "@timestamp": datetime.datetime.now(datetime.UTC).isoformat(),
                "@metadata": {"_id": f"event-{number}"},
                "message": f"trickle {number}",
            }
            client.send(lumberjack.whole_window([json.dumps(event).encode()]))
            assert client.acks_until(1)[-1] == 1
            wait_until(lambda n=number: _there(pipeline, f"event-{n}"), "the document")
            seconds.append(time.monotonic() - shipped)
            time.sleep(1)
    assert quick(), seconds


def _there(pipeline, document_id):
    index = f"{pipeline.name}-{datetime.datetime.now(datetime.UTC):%Y.%m.%d}"
    return (
        pipeline.client.options(ignore_status=[404, 503], max_retries=0)
        .get(index=index, id=document_id)
        .get("found")
    )
