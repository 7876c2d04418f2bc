"""A person reads these first: the help of jobs, hints at names of Logstash, completion of shells."""

import shutil
import subprocess

import pytest

from penstock.pipelines.__main__ import main
from penstock.pipelines.configuration.declared import declared_in
from penstock.pipelines.jobs import JOBS, find_job


def shown(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    assert ended.value.code == 0
    return capsys.readouterr().out


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")


@pytest.mark.parametrize("job", JOBS)
def test_the_first_page_shows_ten_options_and_the_groups(capsys, job):
    text = shown(capsys, job, "--help")
    declared = declared_in(find_job(job).option_classes([]))
    first = [each.split()[0][2:] for each in text.splitlines() if each.startswith("  --")]
    known = declared_in(
        (*find_job(job).option_classes([]), *find_job(job).option_classes(["--to", "kinesis"]))
    )
    assert 0 < len(first) <= 10
    assert set(find_job(job).first) <= set(known)
    assert {each.name for each in declared.values() if each.required} <= set(first)
    assert all(f"  {group} " in text for group in {each.group for each in declared.values()})
    assert "usage:" not in text
    assert text.count("\n") < 70
    assert max(map(len, text.splitlines())) <= 120


def test_a_group_an_option_and_everything(capsys):
    group = shown(capsys, "beats-to-kinesis", "--help", "kinesis")
    assert group.startswith("kinesis: How events are written to Kinesis.\n")
    assert "--data_plane thin|boto3" in group
    assert "--beats_port" not in group
    one = shown(capsys, "beats-to-kinesis", "--help=--secret-key")
    assert "PENSTOCK_SECRET_KEY" in one
    assert "--secret_key_file PATH" in one
    assert "--access_key" not in one.split("needs")[0]
    everything = shown(capsys, "beats-to-kinesis", "-h", "all")
    for each in declared_in(find_job("beats-to-kinesis").option_classes([])):
        assert f"\n  --{each} " in everything
    assert '"kinesis:PutRecords"' in everything
    assert "Most events read but not yet written." in everything
    assert "Default: 1000." in everything


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["beats-to-kinesis", "--help", "kinessis"], "no group or option is called that; did you mean kinesis?"),
        (["beats-to-kinesis", "--stream_name=x", "--port=1"], "Logstash's input beats, and called --beats_port here"),
        (["beats-to-kinesis", "--stream_name=x", "--ssl"], "it is of Logstash's input beats: old name of ssl_enabled"),
        (["kinesis-to-elasticsearch", "--cacert=x"], "old name of ssl_certificate_authorities"),
        (["kinesis-to-elasticsearch", "--flush_size=5"], "output elasticsearch, and needs nothing here: the sizes"),
        (["kinesis-to-elasticsearch", "--keystore=x"], "of Logstash's output elasticsearch, and can't be had here: "),
        (["beats-to-kinesis", "--stream_nam=x"], "unknown option --stream_nam; did you mean --stream_name?"),
    ],
)  # fmt: skip
def test_what_is_not_known_gets_a_hint(capsys, arguments, says):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert says in capsys.readouterr().err


def test_the_version(capsys):
    assert main(["-V"]) == 0
    assert capsys.readouterr().out.startswith("penstock 0.")


COMPLETE = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_shtab_penstock penstock "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}"
echo "${COMPREPLY[@]}"
"""


def test_bash_completes_jobs_options_and_values(capsys, tmp_path):
    assert main(["completion", "bash"]) == 0
    script = tmp_path / "penstock"
    script.write_text(capsys.readouterr().out)
    for typed, found in (
        ("penstock beats", "beats-to-kinesis"),
        ("penstock beats-to-kinesis --region x --data_pl", "--data_plane"),
        ("penstock beats-to-kinesis --data_plane th", "thin"),
        ("penstock check kinesis-to-s3 --opensearch_r", "--opensearch_role"),
        ("penstock completion z", "zsh"),
    ):
        command = ["bash", "-c", COMPLETE, "bash", str(script), *typed.split()]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout.split() == [found], typed


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_other_shells_take_their_script(capsys, tmp_path, shell):
    assert main(["completion", shell]) == 0
    text = capsys.readouterr().out
    assert "--data_plane" in text or "data_plane" in text
    if shutil.which(shell):
        (tmp_path / "script").write_text(text)
        subprocess.run([shell, "-n", str(tmp_path / "script")], check=True)
