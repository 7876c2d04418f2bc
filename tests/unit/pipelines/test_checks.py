"""How trials are run: at a job's start, and by `penstock check`; and the statements that they tell to add."""

import logging
import os

import pytest

from penstock.io.errors import AccessDenied, NotFound, OptionError, PeerError
from penstock.io.preflight.iam import Arns, actions_of, merged, narrowed, policy, statement
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
        require_quick([noted("c", failed(error)), noted("d", fine(""))])
    assert caught.value is error
    assert tried == ["a", "b", "c"]
    with pytest.raises(PeerError, match="down"):
        require_quick([Trial("e", raising(PeerError("down")), quick=True)])


def test_what_is_advisory_warns_and_lets_a_job_start(caplog):
    require_quick([Trial("dates", lambda: failed(OptionError("expired")), quick=True, advisory=True)])
    assert "dates: expired" in caplog.text


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
