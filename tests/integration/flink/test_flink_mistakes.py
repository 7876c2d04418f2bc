"""Whoever submits to a real Flink by mistake hears of it in one line, and nothing is left there."""

import re
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from penstock.pipelines.__main__ import main
from tests.tools.jobs.flink import FLINK, another_pool
from tests.tools.machine.next_release import install_next_release

pytestmark = FLINK

PROGRAM = """
import sys
import helpers
from penstock.io.aws.session import AwsOptions
from penstock.io.beats import BeatsOptions, ReadFromBeats
from penstock.io.dead_letters import WriteDeadLetters
from penstock.io.kinesis import KinesisWriteOptions, WriteToKinesis
from penstock.pipelines.command_line import parse
from penstock.pipelines.run.chain import connect, live_chain
from penstock.pipelines.run.streaming import JobOptions, run_streaming
from penstock.transforms import MapEvents

line = parse("own", "A job.", [KinesisWriteOptions, AwsOptions, JobOptions], sys.argv[1:])
aws, job = line.get(AwsOptions), line.get(JobOptions)
steps = live_chain(
    ("ReadFromBeats", ReadFromBeats(BeatsOptions(port=0))),
    ("MapEvents", MapEvents(helpers.mark)),
    ("WriteToKinesis", WriteToKinesis(line.get(KinesisWriteOptions), aws)),
    dead_letters=WriteDeadLetters(job.dead_letter_url("own"), aws=aws),
)
sys.exit(run_streaming("own", job, line.beam, (), lambda pipeline: connect(pipeline, steps)))
"""
NO_CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "",
    "AWS_SECRET_ACCESS_KEY": "",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
}

# Refused before anything is submitted.
REFUSED = {
    "an option that nobody takes": (["--paralelism=2"], "unknown option --paralelism; did you mean --parallelism"),
    "no Flink there": (["--flink_master=127.0.0.1:1"], "no answer from Flink's REST API at http://127.0.0.1:1"),
    "another Flink": (["--flink_job_server_jar={folder}/1.18.jar"], "1.18.jar is for Flink 1.18: the cluster at .* 1.19"),
    "no place for Python": (["--environment_type=DOCKER", "--environment_config="], "standard image, which has no penstock"),
    "no checkpoints": (["--checkpointing_interval=-1"], "without checkpoints Flink ends the sources at once"),
    "staged here and left": (["--extra_package=x.tar.gz"], "--no_wait_until_finish with --extra_package"),
}  # fmt: skip
# Heard of from the cluster.
FAILED = {
    "a module of one's own": ([], "ModuleNotFoundError: No module named 'helpers'. Bring what the job's code imports"),
    "no credentials there": ([], "AccessDenied: no AWS credentials found.* The workers need credentials of their own"),
}  # fmt: skip
FAILED_TOO = {
    "no worker pool": (
        ["--environment_config=127.0.0.1:1", "--start_timeout_seconds=40"],
        "Connection refused: /127.0.0.1:1. Is the worker pool at --environment_config up",
    ),
    "no savepoint": (["--savepoint_path=/nowhere"], "Cannot find checkpoint .*/nowhere.* Check --savepoint_path"),
    "no slots": (["--parallelism=9", "--start_timeout_seconds=5"], "tasks wait for a slot; Flink at .* free of 2"),
}  # fmt: skip
ANOTHER = {
    "another release": ([], "WrongRelease: this worker has penstock 99.0.0, and the job was submitted with")
}
WITHOUT = {
    "no penstock": (
        ["--start_timeout_seconds=40"],
        "no worker has done its first step after .* s. Workers must have penstock",
    )
}
NONE = """raise ModuleNotFoundError("No module named 'penstock'")"""


@pytest.mark.parametrize("mistake", REFUSED)
def test_what_can_be_seen_before_is_refused(flink, aws, tmp_path, capsys, mistake):
    options, words = REFUSED[mistake]
    with zipfile.ZipFile(tmp_path / "1.18.jar", "w") as jar:
        jar.writestr(".flink-runtime.version.properties", "project.version=1.18.1\n")
    command = [
        *("beats-to-kinesis", "--stream_name=lines", "--endpoint_url", aws.endpoint_url, "--no_wait_until_finish"),
        *(*flink.flink_runner_options, *[each.format(folder=tmp_path) for each in options]),
    ]  # fmt: skip
    try:
        code = main(command)
    except SystemExit as end:  # argparse's way
        code = end.code
    assert code in (1, 2)
    assert re.search(words, capsys.readouterr().err)


@pytest.fixture
def fails(flink, submit, tmp_path):
    """Makes mistakes, two at a time as there are slots, and holds what is said against the table."""
    (tmp_path / "helpers.py").write_text("def mark(event):\n    return event\n")
    (tmp_path / "own.py").write_text(PROGRAM)

    def made(mistake, options):
        if mistake == "a module of one's own":
            return submit(*options, program=(str(tmp_path / "own.py"),), PYTHONPATH=str(tmp_path))
        return submit(*options)

    def check(table, pool=""):
        there = [f"--environment_config={pool}"] if pool else []
        with ThreadPoolExecutor(2) as two:
            found = two.map(made, table, [[*there, *options] for options, _ in table.values()])
            for (mistake, (_, words)), (code, said) in zip(table.items(), found, strict=True):
                assert code == 1, (mistake, said)
                assert re.search(f"^penstock .*{words}", said.splitlines()[-1]), (mistake, said)
        assert not [job for job in flink.rest.jobs() if job["end-time"] == -1]

    return check


def test_what_only_the_workers_lack_ends_with_one_line_that_names_it(fails, tmp_path):
    with another_pool(tmp_path / "pool", **NO_CREDENTIALS) as pool:
        fails(FAILED, pool)


@pytest.mark.full
def test_what_only_the_cluster_sees_ends_with_one_line_that_names_it(fails):
    fails(FAILED_TOO)


@pytest.mark.full
def test_another_penstock_on_the_workers_or_none_ends_with_one_line_that_names_it(fails, tmp_path):
    (tmp_path / "next").mkdir()
    site = install_next_release(tmp_path / "next")
    with another_pool(tmp_path / "newer", PYTHONPATH=str(site)) as pool:
        fails(ANOTHER, pool)
    (tmp_path / "site" / "penstock").mkdir(parents=True)
    (tmp_path / "site" / "penstock" / "__init__.py").write_text(NONE)
    with another_pool(tmp_path / "without", PYTHONPATH=str(tmp_path / "site")) as pool:
        fails(WITHOUT, pool)
