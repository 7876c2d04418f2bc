"""Option dataclasses as a command line."""

import dataclasses
import subprocess
import sys

import pytest

from penstock.io.errors import OptionError
from penstock.io.options import option
from penstock.pipelines.command_line import parse
from penstock.pipelines.configuration.making import options_from


@dataclasses.dataclass(frozen=True)
class Water:
    """The water.

    More text that is no title.
    """

    source: str = option(help="Where it comes from.")
    litres: int = option(5, help="How much, 100 % of it.")
    port: int = option(1, flag="water_port", help="Which port.")
    cold: bool = option(True, help="Whether it is cold.")
    still: bool = option(False, help="Whether it is still.")
    taps: list[str] = option([], help="Which taps.")
    limits: dict[str, str] = option({}, help="Limits by name.")
    kind: str = option("sea", help="Which kind.", choices=("sea", "sweet"))
    depth: float | None = option(None, help="How deep.")
    password: str | None = option(None, help="The word.", secret=True)
    headers: dict[str, str] = option({}, help="Further words.", secret=True)

    def __post_init__(self):
        if self.litres < 0:
            raise OptionError("--litres must not be negative.")


def water(*arguments):
    return parse("penstock test", "Tests.", [Water], list(arguments)).get(Water)


def fails(capsys, *arguments):
    with pytest.raises(SystemExit) as caught:
        water(*arguments)
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error
    return error


def test_defaults_and_values_of_every_type():
    assert water("--source", "x") == Water(source="x")
    got = water(
        "--source=x", "--litres=7", "--water_port=9", "--cold=false", "--still", "--taps=a,b", "--taps", "c",
        "--limits", "m=1", "--limits", '{"n": 2}', "--kind", "sweet", "--depth=1.5",
    )  # fmt: skip
    assert got == Water(
        source="x", litres=7, port=9, cold=False, still=True, taps=["a", "b", "c"], limits={"m": "1", "n": "2"},
        kind="sweet", depth=1.5,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "--source is required: Where it comes from."),
        (("--source=x", "--litres=lots"), "--litres: invalid int value: 'lots'"),
        (("--source=x", "--litres=-1"), "--litres must not be negative."),
        (("--source=x", "--kind=salt"), "'salt' is not one of sea, sweet"),
        (("--source=x", "--cold=maybe"), "'maybe' is neither true nor false"),
        (("--source=x", "--limits=7"), "--limits: a value is neither NAME=VALUE nor a JSON object"),
        (("--source=x", "--litre=3"), "unknown option --litre; did you mean --litres?"),
        (("--source=x", "--water_prot=3"), "unknown option --water_prot; did you mean --water_port?"),
        (("--source=x", "stray"), "unexpected argument 'stray' "),
        (("--source=x", __file__), "if the shell made it of a pattern, put quotes around the pattern"),
        (("--source=x", "--litres"), "--litres: expected one argument"),
    ],
)
def test_a_wrong_option_is_one_line_that_names_it(capsys, arguments, says):
    error = fails(capsys, *arguments)
    assert says in error
    assert error.startswith("penstock test: ")


@pytest.mark.parametrize("runner", [["--runner=FlinkRunner"], ["--runner", "FlinkRunner"]])
def test_beams_own_options_are_left_for_beam(runner):
    line = parse("t", "", [Water], ["--source=x", *runner, "--parallelism=2", "--object_reuse=1"])
    assert line.beam == [*runner, "--parallelism=2", "--object_reuse=1"]


def test_a_mistyped_option_of_ours_is_not_left_for_beam_to_log(capsys):
    error = fails(capsys, "--source=x", "--runner=FlinkRunner", "--pasword", "abracadabra")
    assert "unknown option --pasword; did you mean --password?" in error
    assert "abracadabra" not in error


def test_a_secret_may_come_from_the_environment_and_stays_out_of_repr(monkeypatch):
    monkeypatch.setenv("PENSTOCK_PASSWORD", "abracadabra")
    got = water("--source=x")
    assert got.password == "abracadabra"
    assert "abracadabra" not in repr(got)


def test_values_that_no_command_line_has_read():
    assert options_from(Water, {"source": "x", "unknown": 1, "depth": "", "litres": None}) == Water(
        source="x"
    )
    got = options_from(Water, {
        "source": 7, "litres": "7", "water_port": 9, "cold": False, "still": "yes", "taps": ["a", 2],
        "limits": {"m": 1}, "kind": "sweet", "depth": 1.5, "headers": "a=b,c=d",
    })  # fmt: skip
    assert got == Water(
        source="7", litres=7, port=9, cold=False, still=True, taps=["a", "2"], limits={"m": "1"}, kind="sweet", depth=1.5,
        headers={"a": "b", "c": "d"},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "--source is required: Where it comes from."),
        ({"source": "x", "litres": "many"}, "--litres: 'many' is not a whole number"),
        ({"source": "x", "litres": -1}, "--litres must not be negative"),
        ({"source": "x", "kind": "brackish"}, "--kind: 'brackish' is not one of sea, sweet"),
    ],
)
def test_values_that_do_not_fit(given, message):
    with pytest.raises(OptionError, match=message):
        options_from(Water, given)


def test_a_secret_of_any_type_comes_from_the_environment_and_is_never_told(monkeypatch, capsys):
    monkeypatch.setenv("PENSTOCK_HEADERS", '{"Authorization": "Basic abc"}')
    assert water("--source=x").headers == {"Authorization": "Basic abc"}
    monkeypatch.setenv("PENSTOCK_HEADERS", "hush")
    assert "hush" not in fails(capsys, "--source=x")
    assert "hush" not in fails(capsys, "--source=x", "--headers", "hush")
    assert "hush" not in fails(capsys, "--source=x", "--headers", '{"hush')


def test_help_waits_for_no_beam():
    """Importing Beam takes a second, pyarrow half of one, boto too: no help needs the first two, the list of jobs none."""
    program = """
import contextlib, io, sys
from penstock.pipelines.__main__ import main
from penstock.pipelines.jobs import JOBS

for arguments in ([], *([job] for job in JOBS)):
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()) as shown:
        main([*arguments, "--help"])
    assert "--" in shown.getvalue(), arguments
    loaded = [name for name in sys.modules if name in ("apache_beam", "pyarrow", "numpy", "botocore")]
    assert loaded in ([], ["botocore"]), (arguments, loaded)
    assert arguments or not loaded
"""
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_connectors_bring_few_packages_along():
    """What they import besides Beam takes a quarter of a second; a client library or a table format would take as much."""
    program = """
import sys
import apache_beam, apache_beam.io, apache_beam.runners.portability.fn_api_runner

with_beam = set(sys.modules)
from penstock.io.beats import ReadFromBeats
from penstock.io.elasticsearch import WriteToElasticsearch
from penstock.io.elements import FromElements
from penstock.io.kinesis import ReadFromKinesis, WriteToKinesis
from penstock.transforms import DecodeJson

brought = {name.partition(".")[0] for name in set(sys.modules) - with_beam}
print(*sorted(brought - set(sys.stdlib_module_names)))
"""
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = {name for name in done.stdout.split() if not name.startswith("_")}
    # botocore comes with Beam where it is installed; what it stands on comes with it.
    few = {
        "penstock",
        "apache_beam",
        "elastic_transport",
        "isal",
        "msgspec",
        "pybase64",
        "orjson",
        "certifi",
        "urllib3",
    }
    aws = {"boto3", "botocore", "jmespath", "dateutil", "six", "s3transfer", "google"}
    assert found <= few | aws, found - few - aws
