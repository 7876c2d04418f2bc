import gzip
import logging

import boto3
import orjson
import pytest
from moto import mock_aws

from penstock.io.chain.live_objects import LIVE
from penstock.io.dead_letters import encode
from penstock.pipelines.jobs import replay_dead_letters
from penstock.transforms.batch import DeadLetter
from penstock.transforms.decode import JsonDecoder
from penstock.transforms.document import with_document
from penstock.transforms.events import apply
from penstock.transforms.logstash.beam import RunFilters
from penstock.transforms.logstash.settings import FilterOptions
from tests.tools.peers.fake_http import fake_http
from tests.tools.samples.events import event

ROOT = b'{"version":{"number":"9.4.3"}}'


@pytest.fixture(autouse=True)
def _clean_process():
    """A command sets up logging for its whole process; the next test wants it as it was."""
    root, ours = logging.getLogger(), logging.getLogger("penstock")
    handlers, levels = root.handlers[:], (root.level, ours.level)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])
    LIVE.close()


@pytest.fixture
def letters(tmp_path):
    """Three letters of one Kinesis record: one that isn't JSON, two that Elasticsearch refused."""
    (good, bad), _ = JsonDecoder().decode([event(b'{"n":1}', 7), event(b'{"bad":1}', 8)])
    kept = [
        DeadLetter(good, "document_parsing_exception", "r", "elasticsearch", 400),
        DeadLetter(bad, "document_parsing_exception", "r", "elasticsearch", 400),
        DeadLetter(event(b"nope", 9), "JSONDecodeError", "r", "decode"),
    ]
    file = tmp_path / "letters.jsonl"
    file.write_bytes(b"".join(map(encode, kept)))
    return f"file://{file}", good.id


def _elasticsearch(stored):
    def answer(request):
        if not request.path.startswith("/_bulk"):
            return 200, ROOT
        items = []
        lines = request.body.split(b"\n")[:-1]
        for head, source in zip(lines[::2], lines[1::2], strict=True):
            if b'"bad":1' in source:
                items.append(
                    {
                        "create": {
                            "status": 400,
                            "error": {"type": "document_parsing_exception", "reason": "still"},
                        }
                    }
                )
            else:
                stored[orjson.loads(head)["create"]["_id"]] = source
                items.append({"create": {"status": 201}})
        return 200, orjson.dumps({"errors": True, "items": items})

    return fake_http(answer)


def test_events_go_to_elasticsearch_again_under_the_id_they_had(letters, tmp_path, capsys):
    url, good_id = letters
    stored: dict[str, bytes] = {}
    again = tmp_path / "again.jsonl"
    with _elasticsearch(stored) as fake:
        code = replay_dead_letters.JOB.main(
            ["--dead_letters", url, "--hosts", fake.url, "--refused_again", f"file://{again}"]
        )
    assert code == 1
    assert stored == {good_id: b'{"@timestamp":"2026-11-18T11:06:40.000Z","n":1}'}
    refused = {found["error"]: found for found in map(orjson.loads, again.read_bytes().splitlines())}
    assert refused["document_parsing_exception"]["reason"] == "still"
    assert refused["JSONDecodeError"]["data"] == "nope"
    assert "3 dead letters sent again, 2 of them refused again" in capsys.readouterr().out


def test_only_letters_of_one_error_and_nothing_refused(letters, tmp_path, capsys):
    url, _ = letters
    stored: dict[str, bytes] = {}
    again = tmp_path / "again.jsonl"
    with _elasticsearch(stored) as fake:
        arguments = ["--dead_letters", url, "--hosts", fake.url, "--refused_again", f"file://{again}"]
        assert (
            replay_dead_letters.JOB.main([*arguments, "--errors", "JSONDecodeError", "--codec", "plain"]) == 0
        )
    (source,) = stored.values()
    assert orjson.loads(source)["message"] == "nope"
    assert not again.exists()


@mock_aws
def test_events_go_to_a_stream_again_with_their_bytes(letters):
    url, _ = letters
    client = boto3.client("kinesis", region_name="us-east-1")
    client.create_stream(StreamName="s", ShardCount=1)
    options = [
        "--dead_letters",
        url,
        "--to",
        "kinesis",
        "--stream_name",
        "s",
        "--access_key",
        "x",
        "--secret_key",
        "y",
    ]
    options += ["--data_plane", "boto3", "--aggregation_enabled=false", "--metrics_level", "none"]
    assert replay_dead_letters.JOB.main(options) == 0
    (shard,) = client.list_shards(StreamName="s")["Shards"]
    iterator = client.get_shard_iterator(
        StreamName="s", ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
    )
    records = client.get_records(ShardIterator=iterator["ShardIterator"])["Records"]
    assert sorted(record["Data"] for record in records) == [b"nope", b'{"bad":1}', b'{"n":1}']


def test_filtered_events_pass_their_filters_again_or_are_not_sent(tmp_path, capsys):
    config = tmp_path / "filters.conf"
    config.write_text('filter { split { field => "l" } mutate { add_tag => ["seen"] } }')
    events, _ = JsonDecoder().decode([event(b'{"l":[1,2],"@timestamp":"2026-01-01T00:00:00.000Z"}', 7)])
    filtered, _, _ = apply(RunFilters(FilterOptions(filters=str(config)).step), events, "logstash_filters")
    file = tmp_path / "letters.jsonl"
    file.write_bytes(encode(DeadLetter(filtered[1], "es_rejected_execution", "r", "elasticsearch", 429)))
    stored: dict[str, bytes] = {}
    with _elasticsearch(stored) as fake:
        arguments = ["--dead_letters", f"file://{file}", "--hosts", fake.url]
        for wrong in ([], ["--filters", str(config), "--timezone", "Europe/Berlin"]):
            assert replay_dead_letters.JOB.main([*arguments, *wrong]) == 2
            assert "passed filters" in capsys.readouterr().err
        config.with_name("broken.conf").write_text("filter { mutate }")
        for broken, words in (("broken.conf", "line 1, column 17: "), ("none.conf", "No such file")):
            assert replay_dead_letters.JOB.main([*arguments, "--filters", str(config.with_name(broken))]) == 2
            assert words in capsys.readouterr().err
        assert stored == {}
        assert replay_dead_letters.JOB.main([*arguments, "--filters", str(config)]) == 0
    assert {name: orjson.loads(source) for name, source in stored.items()} == {
        each.id: each.document for each in filtered
    }
    assert len(stored) == 2


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "--dead_letters is required"),
        (["--dead_letters", "/tmp/x"], "is none of file:///path"),
        (["--dead_letters", "file:///x", "--refused_again", "file:///x"], "must be another store"),
        (["--dead_letters", "file:///x", "--to", "mars"], "mars"),
    ],
)
def test_wrong_options_are_one_line(arguments, text, capsys):
    with pytest.raises(SystemExit) as ended:
        replay_dead_letters.JOB.main(arguments)
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert text in error
    assert error.count("\n") == 1


def test_a_server_that_is_not_there_is_one_line(letters, capsys):
    url, _ = letters
    assert (
        replay_dead_letters.JOB.main(
            ["--dead_letters", url, "--hosts", "127.0.0.1:9", "--log_level", "error"]
        )
        == 1
    )
    assert "no answer from Elasticsearch at http://127.0.0.1:9" in capsys.readouterr().err


def _replayed(tmp_path, letters, *arguments, raw=b"", pack=False):
    """Replays these letters; the exit code, and what stands in Elasticsearch then."""
    lines = raw + b"".join(map(encode, letters))
    file = tmp_path / ("letters.jsonl.gz" if pack else "letters.jsonl")
    file.write_bytes(gzip.compress(lines) if pack else lines)
    stored: dict[str, bytes] = {}
    with _elasticsearch(stored) as fake:
        again = f"file://{tmp_path}/again.jsonl"
        given = [
            "--dead_letters",
            f"file://{file}",
            "--hosts",
            fake.url,
            "--refused_again",
            again,
            *arguments,
        ]
        return replay_dead_letters.JOB.main(given), stored


@pytest.mark.parametrize("error", ["ObjectArchived", "DamagedObject", "UnreadableValue", "LineTooLong"])
def test_a_letter_without_a_whole_event_is_counted_and_not_sent(tmp_path, capsys, error):
    """Stored as an event, it would take the id of the object's first one, which would be lost later."""
    cut_off = DeadLetter(event(b'{"n":1', 0), error, "r", "s3")
    (good,), _ = JsonDecoder().decode([event(b'{"n":2}', 1)])
    code, stored = _replayed(tmp_path, [cut_off, DeadLetter(good, "t", "r", "elasticsearch", 400)])
    assert (code, [orjson.loads(each)["n"] for each in stored.values()]) == (1, [2])
    told = capsys.readouterr().out
    assert "1 dead letters sent again, 0 of them refused again" in told
    assert "1 dead letters hold no whole event and were not sent" in told


def test_lines_that_are_no_letters_are_counted_and_no_success(tmp_path, capsys):
    (good,), _ = JsonDecoder().decode([event(b'{"n":2}', 1)])
    letter = DeadLetter(good, "t", "r", "elasticsearch", 400)
    code, stored = _replayed(tmp_path, [letter], raw=b'rubbish\n{"cut":\n\n', pack=True)
    assert (code, len(stored)) == (1, 1)
    assert "2 lines are no dead letters and were left out" in capsys.readouterr().out
    assert _replayed(tmp_path, [letter], pack=True)[0] == 0


def test_an_array_within_an_array_takes_the_id_of_no_other_element(tmp_path):
    decoded, letters = JsonDecoder().decode([event(b'[{"n":0},[{"n":1},{"n":2}],{"n":3}]', 5)])
    code, stored = _replayed(tmp_path, letters)
    assert (code, stored) == (1, {}), "it is no event, as before"
    assert [each.part for each in decoded] == [0, 2]


def test_what_another_step_made_of_the_event_is_what_is_sent(tmp_path):
    (one,), _ = JsonDecoder().decode([event(b'{"n":1}', 1)])
    changed = with_document(one, {"n": 1, "by": "a function"})
    code, stored = _replayed(tmp_path, [DeadLetter(changed, "t", "r", "elasticsearch", 400)])
    assert (code, stored) == (0, {one.id: b'{"n":1,"by":"a function"}'})
