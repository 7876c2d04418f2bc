"""A job writes lines for a person, objects for a machine; bounded, in one line, with nothing that moves a cursor."""

import dataclasses
import json
import logging
import threading

import pytest

from penstock.io.errors import AccessDenied
from penstock.pipelines.console import logs
from penstock.pipelines.console.logs import LogOptions, last_words, set_up_logging, tell, wants_json

OURS = logging.getLogger("penstock.io.somewhere")
THEIRS = logging.getLogger("apache_beam.somewhere")


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch):
    root, level = logging.getLogger(), logging.getLogger("penstock").level
    handlers, hook = root.handlers[:], threading.excepthook
    yield
    root.handlers[:], threading.excepthook = handlers, hook
    logging.getLogger("penstock").setLevel(level)
    logging.captureWarnings(False)


@pytest.fixture
def said(capsys):
    """Sets the log up and gives what a function wrote to stderr, by lines."""

    def run(function, **options):
        set_up_logging(LogOptions(**options))
        capsys.readouterr()
        function()
        return capsys.readouterr().err.splitlines()

    return run


def test_text_is_for_a_person(said):
    (line,) = said(lambda: OURS.info("ready: %s", "all of it"))
    assert line.endswith(" INFO    ready: all of it")


def test_json_has_the_names_of_elastics_schema(said):
    (line,) = said(lambda: OURS.warning("höher: %d", 3), log_format="json")
    document = json.loads(line)
    moment = document.pop("@timestamp")
    assert moment.endswith("Z")
    assert len(moment) == len("2026-11-22T18:26:00.123Z")
    assert document == {
        "log.level": "warning",
        "message": "höher: 3",
        "log.logger": "penstock.io.somewhere",
        "ecs.version": "1.6.0",
    }


def test_figures_are_fields_of_their_own(said):
    (line,) = said(lambda: OURS.info("so many", extra={logs.FIGURES: {"events": 3}}), log_format="json")
    assert json.loads(line)["penstock.events"] == 3


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_text_of_a_peer_begins_a_line_or_moves_the_cursor(said, form):
    evil = "a\n2026-11-22 00:00:00,000 ERROR   forged\r\x1b[2J\x00\u2028\udc80b"
    lines = said(lambda: OURS.info("from a peer: %s", evil), log_format=form)
    (line,) = lines
    assert line.isprintable()
    assert "forged" in line


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("letter", ["x", "\x00", "😀", '"'])
def test_a_line_is_bounded(said, form, letter):
    lines = said(lambda: OURS.error("%s", letter * 1_000_000), log_format=form)
    assert len(lines) == 1
    assert len(lines[0].encode()) <= logs.MAX_LINE_BYTES
    if form == "json":
        json.loads(lines[0])
    if letter.isprintable():
        assert "more characters" in lines[0]


def test_a_json_line_with_a_traceback_is_bounded_too(said):
    def fail():
        try:
            raise RuntimeError("\x01" * 100_000)
        except RuntimeError:
            OURS.exception("a bug")

    (line,) = said(fail, log_format="json")
    assert len(line.encode()) <= logs.MAX_LINE_BYTES
    document = json.loads(line)
    assert document["error.type"] == "RuntimeError"
    assert "error.stack_trace" in document


@pytest.mark.parametrize("form", ["text", "json"])
def test_others_tracebacks_are_not_shown(said, form):
    def fail():
        THEIRS.warning("plain")
        THEIRS.error("Traceback (most recent call last):\n  File ...")
        try:
            raise ValueError("inner")
        except ValueError:
            THEIRS.exception("it failed")

    lines = said(fail, log_format=form)
    assert len(lines) == 1
    assert "plain" in lines[0]
    assert "Traceback (most" in "\n".join(said(fail, log_format="text", log_level="debug"))


@pytest.mark.parametrize("form", ["text", "json"])
def test_what_a_peer_or_user_did_has_no_traceback_though_ours_logs_one(said, form):
    def fail():
        try:
            raise AccessDenied("no")
        except AccessDenied:
            OURS.exception("closing failed")

    (line,) = said(fail, log_format=form)
    assert "closing failed" in line
    assert "stack_trace" not in line


def test_a_thread_that_dies_says_so_in_one_line(said):
    def die():
        thread = threading.Thread(target=lambda: 1 / 0, name="busy")
        thread.start()
        thread.join()

    (line,) = said(die)
    assert "thread busy ended by ZeroDivisionError: division by zero" in line
    assert "Traceback" in "\n".join(said(die, log_level="debug"))


def test_last_words(said):
    assert said(lambda: last_words("job", "no\nsuch thing", 2)) == ["penstock job: no such thing"]
    (line,) = said(lambda: last_words("job", "no such thing", 2), log_format="json", log_level="error")
    document = json.loads(line)
    assert document["message"] == "job: no such thing"
    assert document["process.exit_code"] == 2
    assert document["log.level"] == "error"


def test_the_outcome(said):
    assert said(lambda: tell("done\n  written 3", written=3)) == ["done", "  written 3"]
    (line,) = said(lambda: tell("done\n  written 3", written=3), log_format="json")
    document = json.loads(line)
    assert document["message"] == "done"
    assert document["penstock.written"] == 3


@pytest.mark.parametrize(
    ("argv", "wanted"),
    [
        ([], False),
        (["--log_format"], False),
        (["--log_format", "json"], True),
        (["--x", "1", "--log_format=json"], True),
        (["--log_format=json", "--log_format", "text"], False),
        (["json"], False),
        (["--other=json"], False),
    ],
)
def test_a_wrong_command_line_may_ask_for_json(argv, wanted):
    assert wants_json(argv) is wanted


def test_every_job_has_the_same_log_options():
    from penstock.pipelines.jobs.replay_dead_letters import ReplayOptions
    from penstock.pipelines.run.batch import BatchJobOptions
    from penstock.pipelines.run.streaming import JobOptions

    for cls in (BatchJobOptions, JobOptions, ReplayOptions):
        assert {"log_level", "log_format"} <= {field.name for field in dataclasses.fields(cls)}
