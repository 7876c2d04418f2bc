"""Trials run at a job's start, and by `penstock check`, which tells the statements to add."""

import itertools
import json
import logging
import os
import threading

import pytest

from penstock.io.errors import AccessDenied, NotFound, OptionError, PeerError
from penstock.io.preflight.iam import Arns, actions_of, merged, narrowed, policy, statement
from penstock.io.preflight.side_by_side import MOST, side_by_side
from penstock.io.preflight.trials import (
    Mark,
    Trial,
    failed,
    fine,
    not_tried,
    require_quick,
    try_all,
    warning,
    writable,
)
from penstock.pipelines.jobs import find_job
from tests.tools.peers.fake_http import fake_http

HANGS_S = 30
"""After this a test says that it hangs."""
PUT = statement("Write", "kinesis:PutRecords", "arn:x")


def raising(error):
    def run():
        raise error

    return run


def test_what_needs_a_failed_check_is_not_tried_and_neither_is_what_needs_that():
    trials = [
        Trial("a", raising(NotFound("there is no a"))),
        Trial("b", lambda: pytest.fail("tried"), after=("a",)),
        Trial("c", lambda: pytest.fail("tried"), after=("b",)),
        Trial("d", lambda: fine("yes")),
        Trial("e", lambda: not_tried("why"), after=("d",)),
        Trial("f", lambda: fine("yes"), after=("e",)),
    ]
    found = {trial.name: finding for trial, finding in try_all(trials)}
    assert [finding.mark for finding in found.values()] == [
        Mark.FAILED, Mark.NOT_TRIED, Mark.NOT_TRIED, Mark.OK, Mark.NOT_TRIED, Mark.OK,
    ]  # fmt: skip
    assert found["a"].text == "there is no a"
    assert found["b"].text == "needs what failed above: a"


def test_only_a_denial_tells_a_statement_to_add():
    ((_, denied),) = try_all([Trial("put", raising(AccessDenied("no")), statements=(PUT,))])
    ((_, missing),) = try_all([Trial("put", raising(NotFound("no")), statements=(PUT,))])
    assert denied.statements == (PUT,)
    assert missing.statements == ()


def test_a_peer_that_answers_nonsense_costs_its_own_line_only():
    found = [
        finding
        for _, finding in try_all([Trial("x", raising(KeyError("Shards\n"))), Trial("y", lambda: fine(""))])
    ]
    assert [each.mark for each in found] == [Mark.FAILED, Mark.OK]
    assert found[0].text.startswith("cannot try x: KeyError: ")
    assert "\n" not in found[0].text


def warned_of(name, **given):
    return Trial(name, lambda: warning("told too late"), quick=True, **given)


def test_a_start_tries_what_is_quick_and_ends_with_the_first_failure(caplog):
    tried = []

    def noted(name, finding):
        return Trial(name, lambda: tried.append(name) or finding, quick=True)

    caplog.set_level(logging.INFO)
    slow = Trial("slow", lambda: pytest.fail("tried"))
    require_quick([slow, noted("a", fine("yes")), noted("b", warning("soon over"))])
    assert tried == ["a", "b"]
    assert [record.getMessage() for record in caplog.records] == ["b: soon over"]
    error = AccessDenied("no")
    with pytest.raises(AccessDenied) as caught:
        require_quick([noted("c", failed(error)), warned_of("d", after=("c",)), warned_of("e")])
    assert caught.value is error
    assert [record.getMessage() for record in caplog.records] == ["b: soon over"]
    with pytest.raises(PeerError, match="down"):
        require_quick([Trial("e", raising(PeerError("down")), quick=True)])


def test_what_is_advisory_warns_and_lets_a_job_start(caplog):
    require_quick([Trial("dates", lambda: failed(OptionError("expired")), quick=True, advisory=True)])
    assert "dates: expired" in caplog.text


# -- side by side ----------------------------------------------------------------------------------------


def test_trials_wait_for_their_peers_at_the_same_time():
    """Each answers when all have been asked."""
    together = threading.Barrier(MOST)

    def run():
        return fine(str(together.wait(HANGS_S) < MOST))

    found = list(try_all([Trial(str(n), run) for n in range(MOST)]))
    assert [trial.name for trial, _ in found] == [str(n) for n in range(MOST)]
    assert {finding.text for _, finding in found} == {"True"}


def test_no_more_than_so_many_at_a_time():
    count = itertools.count(1)
    running, most, full = [], [], threading.Barrier(3)

    def work(number):
        running.append(number)
        if next(count) <= 3:
            full.wait(HANGS_S)
        most.append(len(running))
        running.remove(number)
        return number

    assert list(side_by_side([()] * 50, work, 3)) == list(range(50))
    assert max(most) == 3


def test_what_is_found_is_told_in_the_order_of_the_trials(caplog):
    later = threading.Event()

    def second():
        later.set()
        return warning("is old")

    def first():
        assert later.wait(HANGS_S)
        return warning("is older")

    require_quick([Trial("first", first, quick=True), Trial("second", second, quick=True)])
    assert [record.getMessage() for record in caplog.records] == ["first: is older", "second: is old"]


def test_the_first_failure_is_the_first_in_the_order_of_the_trials():
    later = threading.Event()

    def second():
        later.set()
        raise NotFound("the second")

    def first():
        assert later.wait(HANGS_S)
        raise AccessDenied("the first")

    with pytest.raises(AccessDenied, match="the first"):
        require_quick([Trial("first", first, quick=True), Trial("second", second, quick=True)])


def test_a_failure_waits_for_no_peer_that_is_late_and_asks_no_other():
    asked, over = threading.Event(), threading.Event()

    def late():
        asked.set()
        assert over.wait(HANGS_S)
        return fine("")

    def refused():
        assert asked.wait(HANGS_S)
        raise AccessDenied("no")

    next_one = Trial("next", lambda: pytest.fail("tried"), quick=True, behind=("late",))
    with pytest.raises(AccessDenied):
        require_quick([Trial("refused", refused, quick=True), Trial("late", late, quick=True), next_one])
    assert not over.is_set()
    over.set()


def test_what_comes_behind_another_waits_for_it_whatever_it_finds():
    order = []

    def refused():
        order.append("refused")
        raise AccessDenied("no")

    found = list(
        try_all([Trial("a", refused), Trial("b", lambda: order.append("b") or fine("yes"), behind=("a",))])
    )
    assert order == ["refused", "b"]
    assert [finding.mark for _, finding in found] == [Mark.FAILED, Mark.OK]


REPLIES = {
    "DescribeStreamSummary": {
        "StreamDescriptionSummary": {
            "StreamName": "orders",
            "StreamARN": "arn:aws:kinesis:us-east-1:111122223333:stream/orders",
            "StreamStatus": "ACTIVE",
            "StreamCreationTimestamp": 1_700_000_000,
            "RetentionPeriodHours": 24,
            "OpenShardCount": 1,
            "EnhancedMonitoring": [],
        }
    },
    "DescribeTable": {
        "Table": {"KeySchema": [{"AttributeName": "leaseKey", "KeyType": "HASH"}], "TableStatus": "ACTIVE"}
    },
    "ListShards": {
        "Shards": [
            {
                "ShardId": "shardId-000000000000",
                "HashKeyRange": {"StartingHashKey": "0", "EndingHashKey": str((1 << 128) - 1)},
                "SequenceNumberRange": {"StartingSequenceNumber": "1"},
            }
        ]
    },
    "Scan": {"Items": [], "Count": 0, "ScannedCount": 0},
}
TOGETHER = [
    {"DescribeStreamSummary", "DescribeTable", "/"},
    {"ListShards", "Scan", "/_ingest/pipeline/parse"},
]
"""What a start of the job asks at the same time, and what after that."""


def test_a_job_asks_kinesis_dynamodb_and_elasticsearch_at_the_same_time():
    """They answer when all of them have been asked."""
    gates = [(names, threading.Barrier(len(names))) for names in TOGETHER]
    alone = []

    def answer(request):
        operation = request.headers.get("x-amz-target", "").rpartition(".")[2] or request.path
        for names, gate in gates:
            if operation in names:
                try:
                    gate.wait(HANGS_S)
                except threading.BrokenBarrierError:
                    alone.append(operation)
        root = {"version": {"number": "8.19.0"}, "tagline": "You Know, for Search"}
        return 200, json.dumps(REPLIES.get(operation, root if operation == "/" else {})).encode()

    with fake_http(answer) as peers:
        job = find_job("kinesis-to-elasticsearch")
        line = job.parse(
            [
                *("--kinesis_stream_name", "orders", "--application_name", "app"),
                *("--endpoint_url", peers.url, "--access_key", "AKIDEXAMPLE", "--secret_key", "example"),
                *("--hosts", peers.url, "--index", "logs", "--pipeline", "parse"),
            ]
        )
        job.require_quick(line)
    assert not alone
    assert len(peers.requests) == sum(map(len, TOGETHER))


# -- files -----------------------------------------------------------------------------------------------


def test_a_file_that_can_be_made_is_not_made(tmp_path):
    path = tmp_path / "a" / "b" / "letters.jsonl"
    assert writable("--dead_letters", str(path)).mark is Mark.OK
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written(tmp_path):
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(OptionError, match=r"--dead_letters: cannot write .*/x: .*file is no folder"):
        writable("--dead_letters", str(file / "x"))
    with pytest.raises(OptionError, match="it is a folder"):
        writable("--dead_letters", str(tmp_path))
    with pytest.raises(OptionError, match="may not write it"):
        writable("--dead_letters", str(file), access=lambda path, mode: False)
    with pytest.raises(OptionError, match=f"may not write in {tmp_path}"):
        writable("--dead_letters", str(tmp_path / "x"), access=lambda path, mode: not mode & os.X_OK)


# -- statements ------------------------------------------------------------------------------------------


def test_names_of_resources():
    arns = Arns("eu-west-1", "111122223333", "aws-cn")
    assert arns.stream("orders") == "arn:aws-cn:kinesis:eu-west-1:111122223333:stream/orders"
    assert arns.stream("arn:aws:kinesis:a:1:stream/x") == "arn:aws:kinesis:a:1:stream/x"
    assert arns.table("app") == "arn:aws-cn:dynamodb:eu-west-1:111122223333:table/app"
    assert arns.key("1234-abcd") == "arn:aws-cn:kms:eu-west-1:111122223333:key/1234-abcd"
    assert arns.bucket("b") == "arn:aws-cn:s3:::b"
    assert arns.bucket("b", "logs/*") == "arn:aws-cn:s3:::b/logs/*"
    assert Arns().stream("s") == "arn:aws:kinesis:REGION:ACCOUNT:stream/s"


def test_a_statement_cut_down_to_one_action():
    many = statement("Read", ["kinesis:ListShards", "kinesis:GetRecords"], "arn:s", {"Bool": {}})
    assert narrowed([many, PUT], "kinesis:GetRecords") == (
        {
            "Sid": "Read",
            "Effect": "Allow",
            "Action": "kinesis:GetRecords",
            "Resource": "arn:s",
            "Condition": {"Bool": {}},
        },
    )
    assert narrowed([PUT], "kinesis:GetRecords") == ()
    assert actions_of(PUT) == ["kinesis:PutRecords"]


def test_statements_are_merged_by_name_resource_and_condition():
    made = merged(
        [
            statement("Read", "a:1", "x"),
            statement("Read", ["a:2", "a:1"], "x"),
            statement("Read", "a:1", "y"),
            statement("Write", "a:3", "x"),
        ]
    )
    assert [(each["Sid"], each["Action"], each["Resource"]) for each in made] == [
        ("Read", ["a:1", "a:2"], "x"),
        ("Read2", "a:1", "y"),
        ("Write", "a:3", "x"),
    ]
    assert policy(made)["Version"] == "2012-10-17"
