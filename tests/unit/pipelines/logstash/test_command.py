"""`penstock logstash` on the command line: what it takes, what it prints, and how it refuses."""

import os
import shlex

import pytest

import penstock
from penstock.io.errors import Unreachable
from penstock.io.preflight import trials
from penstock.pipelines.command_line import parse
from penstock.pipelines.jobs import JOBS, find_job
from penstock.pipelines.jobs.logstash import JOB
from penstock.pipelines.logstash.reading import flags
from penstock.pipelines.logstash.reading.sources import read_files
from penstock.pipelines.workers import together

BEATS_TO_KINESIS = """\
input { beats { port => "${PORT:5044}" } }
output { kinesis { stream_name => "s" region => "eu-west-1" max_pending_records => 10000 secret_key => "${SECRET}"
                   access_key => "AK" } }
"""
TO_ELASTICSEARCH = """\
input { kinesis { kinesis_stream_name => "s" application_name => "app" codec => json } }
output { elasticsearch { hosts => ["${ES}"] user => "u" password => "geheim-1" index => "logs" } }
"""


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name, value in {"SECRET": "geheim-2", "ES": "es-geheim:9200"}.items():
        monkeypatch.setenv(name, value)


def file(text, name="x.conf"):
    """A file in the working directory, by its name."""
    with open(name, "wb") as out:
        out.write(text if isinstance(text, bytes) else text.encode())
    return name


def run(capsys, *arguments):
    """Exit code, stdout and stderr."""
    try:
        code = JOB.main(list(arguments))
    except SystemExit as end:
        code = end.code
    told = capsys.readouterr()
    return code, told.out, told.err


@pytest.mark.parametrize("form", ["--explain", "--to_command", "--to-yaml"])
@pytest.mark.parametrize("text", [BEATS_TO_KINESIS, TO_ELASTICSEARCH])
def test_no_form_tells_a_secret(capsys, form, text):
    code, out, err = run(capsys, "-f", file(text), form, "-w", "2")
    assert (code, err) == (0, "")
    assert "geheim" not in out


def test_explain_tells_each_option_and_where_it_comes_from(capsys):
    text = "filter {\n if [a] {\n  drop { }\n }\n}\n" + BEATS_TO_KINESIS
    _, out, _ = run(
        capsys,
        "-f",
        file(text),
        "--explain",
        "--set",
        "output.kinesis.region=eu-west-3",
        "--set",
        "input.beats.port=0",
    )
    told = [" ".join(line.split()) for line in out.splitlines()]
    for line in (
        "input beats (beats:6) at x.conf:6",
        "port = 0 --set",
        "defaults: host=0.0.0.0",
        "if [a] x.conf:2",
        "filter drop x.conf:3",
        "output kinesis (kinesis:7) at x.conf:7",
        "stream_name = s x.conf:7",
        "region = eu-west-3 --set",
        "secret_key = ${SECRET} x.conf:7",
    ):
        assert line in told, out


@pytest.mark.parametrize("text", [BEATS_TO_KINESIS, TO_ELASTICSEARCH])
def test_the_command_has_the_options_of_the_file(capsys, text):
    """The printed command, read by its job, gives the options that the plan has."""
    from penstock.pipelines.logstash.options import LogstashOptions
    from penstock.pipelines.logstash.reading.planner import make_plan

    _, out, _ = run(capsys, "-f", file(text), "--to_command")
    lines = [line for line in out.splitlines() if not line.startswith("#")]
    words = shlex.split(" ".join(line.removesuffix("\\") for line in lines))
    words = [os.path.expandvars(word.replace("${PORT-5044}", "5044")) for word in words]
    secrets = dict(word.split("=", 1) for word in words if word.startswith("PENSTOCK_"))
    words = [word for word in words if not word.startswith("PENSTOCK_")]
    assert words.pop(0) == "penstock"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"PENSTOCK_PASSWORD": "geheim-1", **secrets}.items():
            patch.setenv(name, value)
        job = find_job(words.pop(0))
        line = parse("x", "", job.option_classes(words), words)
    plan = make_plan("main", read_files("x.conf"), LogstashOptions(path_config="x.conf")).plan
    for item in (*plan.inputs, *plan.outputs):
        assert line.get(type(item.options)) == item.options
        if item.aws is not None:
            assert line.get(type(item.aws)) == item.aws


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("input { stdin { } } output { null { } }", "no job reads stdin and writes null"),
        (
            f"{BEATS_TO_KINESIS} output {{ null {{ }} }}",
            "it has 2 outputs (kinesis:2, null:4), and a job has one",
        ),
        (f"filter {{ drop {{ }} }} {BEATS_TO_KINESIS}", "it has filters, and no job has any"),
    ],
)
def test_what_has_no_command_is_named(capsys, text, what):
    code, _, err = run(capsys, "-f", file(text), "--to_command")
    assert code == 2
    assert f"--to_command: {what}" in err


def test_yaml_keeps_filters_and_texts_that_jinja_would_read(capsys):
    text = 'filter { mutate { add_field => { "day" => "%{{yyyy}}" } } }\n' + TO_ELASTICSEARCH
    _, out, _ = run(capsys, "-f", file(text), "--to_yaml")
    assert '--jinja_variables ES="$ES"' in out
    assert "# Put into the environment: PENSTOCK_PASSWORD" in out
    assert "{% raw %}" in out
    assert '["{{ ES }}"]' in out


@pytest.mark.parametrize(
    ("make", "arguments", "message"),
    [
        (lambda: None, ["-f", "nowhere.conf"], "-f nowhere.conf: there is no such file, and nothing that fits."),
        (lambda: None, ["-f", "http://x/y"], "isn't fetched from the network"),
        (lambda: None, [], "-f FILE is required"),
        (lambda: None, ["-f"], "-f needs a value."),
        (lambda: None, ["-f", "x", "-p", "/x"], "-p is not supported: plugins in Ruby can't run here"),
        (lambda: file(os.urandom(10) + b"\xff\xfe" * 400), ["-f", "x.conf"], "x.conf:"),
        (lambda: file(b"\xef\xbb\xbfinput { }"), ["-f", "x.conf"], "x.conf:1:1: begins with a byte order mark"),
        (lambda: file(b"\xc3\x28"), ["-f", "x.conf"], "x.conf:1: not UTF-8 (byte 0xc3 at 0)"),
        (lambda: file("[" * 1_000_000), ["-f", "x.conf"], "x.conf:1:1: no section begins here"),
        (lambda: file(BEATS_TO_KINESIS[:60]), ["-f", "x.conf"], "x.conf:2:18: "),
        (lambda: file("input { beats { port => '${NO}' } } output { null { } }"), ["-f", "x.conf"], "has no variable NO"),
        (lambda: os.mkdir("s"), ["--path.settings", "s"], "it has neither pipelines.yml nor a path.config"),
        (lambda: None, ["--path.settings", "s"], "there is no such folder"),
    ],
)  # fmt: skip
def test_bad_input_is_one_message_and_exit_code_2(capsys, make, arguments, message):
    make()
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err) < 2000


def test_a_folder_that_may_not_be_read(capsys, monkeypatch):
    """Root may read everything, so the refusal is the call's."""
    os.mkdir("closed")

    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "listdir", refuse)
    code, _, err = run(capsys, "-f", "closed")
    assert code == 2
    assert "closed: can't be read: Permission denied." in err


def test_files_come_in_the_order_of_their_paths():
    os.mkdir("d")
    os.mkdir("d/folder")
    for name in ("2-b.conf", "10-a.conf", "Z", "old.conf~"):
        file("", f"d/{name}")
    assert [each.name for each in read_files("d")] == ["d/10-a.conf", "d/2-b.conf", "d/Z"]
    assert [each.name for each in read_files("d/{2,10}-*.conf")] == ["d/10-a.conf", "d/2-b.conf"]


def test_pipelines_of_a_settings_folder(capsys):
    os.mkdir("s")
    file('pipeline.ecs_compatibility: "disabled"\nqueue: {type: persisted}\n', "s/logstash.yml")
    file(
        "- pipeline.id: one\n  config.string: \"input { beats { port => '${PORT:1}' } }\"\n"
        "- pipeline.id: two\n  path.config: x.conf\n  pipeline: {workers: 2}\n",
        "s/pipelines.yml",
    )
    file("input { stdin { } } output { elasticsearch { } }")
    code, out, err = run(capsys, "--path.settings", "s", "--pipeline.id", "one", "--explain")
    assert (code, err) == (0, "")
    assert "pipeline one" in out
    code, out, err = run(capsys, "--path.settings", "s")
    assert (code, out) == (2, "")
    assert "pipeline two:\nthe input stdin is for a pipeline that runs alone" in err
    code, out, err = run(capsys, "--path.settings=s", "--pipeline.id", "two", "--explain")
    assert (code, err) == (0, "")
    assert "index=logstash-%{+yyyy.MM.dd}" in out
    assert "pipeline two" in out
    assert "note: settings without effect here: queue.type, pipeline.workers (docs/logstash.md)\n" in out
    code, _, err = run(capsys, "--path.settings", "s", "--pipeline.id", "three", "--explain")
    assert (code, "there are: one, two" in err) == (2, True)


def test_several_pipelines_are_read_as_one(capsys, monkeypatch):
    """Every problem of all of them is told; forms of all are shown; each gets its own store and page."""
    os.mkdir("s")
    one, two = (
        "input { beats { port => 1 } } output { null { } }",
        "input { beats { port => %s } } output { null { } }",
    )
    file(
        f"- pipeline.id: one\n  config.string: '{one}'\n- pipeline.id: two\n  path.config: x.conf\n",
        "s/pipelines.yml",
    )
    file(two % "no")
    code, out, err = run(capsys, "--path.settings", "s", "-t")
    assert (code, out) == (2, "")
    assert "pipeline two:\nx.conf:1:17: " in err
    assert "pipeline one" not in err
    file(two % 2)
    code, out, err = run(capsys, "--path.settings", "s", "--explain")
    assert (code, err, out.count("pipeline one") * out.count("pipeline two")) == (0, "", 1)
    for overrides, expected in (
        (["output.null.id=x1", "input.beats.port=7"], 0),
        (["output.file.path=x1"], 2),
    ):
        sets = [word for each in overrides for word in ("--set", each)]
        code, out, err = run(capsys, "--path.settings", "s", "--explain", *sets)
        assert (code, "--set output.file.path: the pipeline has no such plugin" in err) == (
            expected,
            expected == 2,
        )
        assert out.count("port = 7") == (0 if expected else 2)
    assert (
        run(capsys, "--path.settings", "s", "--explain", "--pipeline.id=two", "--set", "output.file.path=x1")[
            0
        ]
        == 0
    )
    for form in ("--to_yaml", "--replay=file:///x"):
        code, _, err = run(capsys, "--path.settings", "s", form)
        assert (code, "--path.settings s --pipeline.id two" in err) == (2, True)
    assert run(capsys, "--path.settings", "s", "--dead_letters", "file:///x")[0] == 2
    given = []
    monkeypatch.setattr(
        together, "run_together", lambda name, members, **how: given.append((members, how)) or 7
    )
    store = "file:///x/%{pipeline}.jsonl"
    arguments = ["--path.settings", "s", "--dead_letters", store, "--status_port", "80", "-w", "2"]
    assert run(capsys, *arguments)[0] == 7
    ((members, how),) = given
    assert [each.name for each in members] == ["one", "two"]
    assert members[1].argv == ["logstash", *arguments, "--pipeline.id", "two"]
    assert {each.status.status_port for each in members} == {80}, "one page"
    assert how == {"json": False, "stop_timeout": 30.0}
    code, out, _ = run(
        capsys, "--path.settings", "s", "--dead_letters", store, "--pipeline.id", "two", "--explain"
    )
    assert (code, "file:///x/two.jsonl" in out) == (0, True)


def test_a_text_of_the_command_line_gets_what_is_missing(capsys):
    code, out, _ = run(capsys, "-e", "filter { drop { } }", "--explain")
    assert code == 0
    assert "input stdin (stdin:2) at -e:2" in out
    assert "output stdout (stdout:3) at -e:3" in out


def test_every_flag_of_logstash_is_taken_ignored_or_refused():
    made, notes = flags.translated(
        ["-f", "x", "-w4", "-b", "125", "--config.reload.automatic", "--path.data=/d", "--log.level", "warn", "-t", "--set",
         "input.a.b=[1,2]", "--dead_letters", "file:///d", "--queue.type", "persisted"]
    )  # fmt: skip
    assert made == ["--path_config=x", "--log_level=warning", "--config_test_and_exit", "--set=input.a.b=[1\\,2]",
                    "--dead_letters", "file:///d"]  # fmt: skip
    assert [note.partition(" i")[0].partition(" a")[0] for note in notes] == [
        "-w", "-b", "--config.reload.automatic", "--path.data, --queue.type",
    ]  # fmt: skip
    assert not {*flags.TAKEN} & {*flags.IGNORED, *flags.REFUSED}


@pytest.mark.parametrize("flag", ["-V", "--version"])
def test_the_version(capsys, flag):
    assert run(capsys, flag) == (0, f"penstock {penstock.__version__}\n", "")


def test_an_input_s3_beside_another_is_refused(capsys):
    text = "input { stdin { } s3 { bucket => logs } } output { stdout { } }"
    code, _, err = run(capsys, "-f", file(text))
    assert (code, "x.conf:1:19: the input s3 reads its objects once and then ends" in err) == (2, True)


def test_a_replay_tries_its_outputs_and_no_input_before_it_sends(capsys, monkeypatch):
    given = []

    def refuse(tried):
        given.extend(trial.name for trial in tried)
        raise Unreachable("no answer")

    monkeypatch.setattr(trials, "require_quick", refuse)
    outputs = "elasticsearch { index => logs } kinesis { stream_name => s1 region => eu1 access_key => k1 secret_key => s1 }"
    text = f"input {{ beats {{ port => 1 }} }} output {{ {outputs} }}"
    code, out, err = run(capsys, "-f", file(text), "--replay", "file:///x")
    assert (code, out, err) == (1, "", "penstock logstash-replay: no answer\n")
    said = " ".join(given)
    assert "Elasticsearch" in said, given
    assert "PutRecords" in said, given
    assert "port" not in said, given


def test_the_job_is_listed():
    assert find_job("logstash") is JOB
    assert "logstash" in JOBS
