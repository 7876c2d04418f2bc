"""Options that no runner of ours takes are refused, whatever the runner; what Flink's job server takes is known."""

import pytest

from penstock.io.errors import OptionError
from penstock.pipelines.beam_arguments import beam_options, require_known
from penstock.pipelines.flink_options import FlinkStreamingOptions

RUNNERS = (
    "DirectRunner",
    "FlinkRunner",
    "PortableRunner",
    "PrismRunner",
    "apache_beam.runners.flink.FlinkRunner",
)


@pytest.mark.parametrize("runner", RUNNERS)
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--totally_made_up", "3"], "unknown option --totally_made_up"),
        (["--paralelism=2"], "unknown option --paralelism; did you mean --parallelism?"),
        (["--savepoint-pth", "x"], "unknown option --savepoint_pth; did you mean --savepoint_path?"),
        (["--", "--streaming"], "unexpected argument '--'"),
        (["nothing"], "unexpected argument 'nothing'"),
        (["--job_server_timeout=soon"], "job_server_timeout.*: invalid int value"),
    ],
)
def test_what_nobody_takes_is_refused(runner, arguments, words):
    with pytest.raises(OptionError, match=words):
        beam_options([f"--runner={runner}", *arguments])


def test_the_beginning_of_an_option_of_ours_is_meant_and_no_likeness_of_beams():
    with pytest.raises(OptionError, match=r"unknown option --stream; did you mean --stream_name\?"):
        require_known(["--stream", "logs"], ours=["--region", "--stream_name"])


@pytest.mark.parametrize("runner", ["DirectRunner", "PrismRunner"])
@pytest.mark.parametrize("option", ["--parallelism=2", "--savepoint-path=/x", "--flink_master=h:1"])
def test_flinks_options_are_refused_elsewhere(runner, option):
    with pytest.raises(
        OptionError, match=r"is an option of Flink\. Leave it out, or give --runner FlinkRunner"
    ):
        beam_options(["--runner", runner, option])


def test_flinks_options_are_known_with_hyphens_too(caplog):
    options = beam_options(
        [
            *("--runner=FlinkRunner", "--savepoint-path", "s3://x/sp-1", "--max-parallelism=256"),
            *(
                "--checkpoint_timeout_millis=60000",
                "--object-reuse",
                "--state_backend=rocksdb",
                "--job_name",
                "a-b",
            ),
        ]
    )
    found = options.get_all_options(drop_default=True)
    assert "Discarding" not in caplog.text
    assert (found["savepoint_path"], found["max_parallelism"]) == ("s3://x/sp-1", 256)
    assert (found["checkpoint_timeout_millis"], found["object_reuse"]) == (60000, "true")
    assert found["job_name"] == "a-b"
    assert options.view_as(FlinkStreamingOptions).state_backend == "rocksdb"
