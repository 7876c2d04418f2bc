"""A runner's options are chosen or refused, and the graph is one and the same on all runners."""

import contextlib
import dataclasses
from unittest import mock

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import FlinkRunnerOptions, PipelineOptions, PortableOptions

from penstock.io import elasticsearch
from penstock.io.errors import OptionError
from penstock.pipelines.flink_options import FlinkStreamingOptions
from penstock.pipelines.jobs import find_job
from penstock.pipelines.run import batch as batch_job
from penstock.pipelines.run import streaming as job
from penstock.pipelines.run.job import Job, StreamingJob
from penstock.pipelines.run.runners import runs_elsewhere, settle

POOL = ("--environment_type=EXTERNAL", "--environment_config=127.0.0.1:50000")
FLINK = ("--runner=FlinkRunner", "--flink_master=127.0.0.1:8081", *POOL)
PORTABLE = ("--runner=PortableRunner", "--job_endpoint=127.0.0.1:8099", *POOL)


def settled(*arguments, streaming=True):
    options = PipelineOptions(list(arguments))
    return options, settle(options, "a-job", streaming=streaming)


@pytest.mark.parametrize("arguments", [FLINK, PORTABLE])
def test_flink_gets_what_it_needs(arguments):
    options, place = settled(*arguments)
    flink = options.view_as(FlinkStreamingOptions)
    assert (flink.checkpointing_interval, flink.max_bundle_time_mills) == (10_000, 5)
    spread = options.view_as(FlinkRunnerOptions)
    assert (spread.parallelism, spread.max_parallelism) == (1, 128)
    assert options.get_all_options()["job_name"] == "a-job"
    assert place.elsewhere
    said = place.describe()
    for choice in (
        "--checkpointing_interval=10000",
        "--max_bundle_time_mills=5",
        "--parallelism=1",
        "up to 10 s",
    ):
        assert choice in said


def test_what_the_user_set_is_kept_and_not_told():
    own = (
        "--checkpointing_interval=3000",
        "--max_bundle_time_mills=20",
        "--parallelism=6",
        "--job_name=mine",
    )
    options, place = settled(*FLINK, *own)
    flink = options.view_as(FlinkStreamingOptions)
    assert (flink.checkpointing_interval, flink.max_bundle_time_mills) == (3000, 20)
    assert options.view_as(FlinkRunnerOptions).parallelism == 6
    assert place.chosen == (
        "--max_read_time_seconds=10",
        "--finish_bundle_before_checkpointing=true",
        "--max_parallelism=128",
        "--operator_chaining=false",
    )


def test_the_job_server_is_sent_what_was_chosen():
    """Beam sends what `get_all_options` gives."""
    options, _ = settled(*FLINK)
    sent = options.get_all_options()
    assert sent["checkpointing_interval"] == 10_000
    assert sent["max_bundle_time_mills"] == 5
    assert sent["max_parallelism"] == 128
    assert sent["operator_chaining"] is False
    assert sent["finish_bundle_before_checkpointing"] is True


@pytest.mark.parametrize(
    ("further", "why"),
    [
        (["--checkpointing_interval=-1"], "restarts a failed job from nothing"),
        (["--checkpointing_interval=10"], "give 100 or more"),
        (["--max_bundle_time_mills=1000"], "waits for that long between two bundles"),
        (["--max_read_time_seconds=600"], "every checkpoint waits for that"),
        (["--load_balance_bundles"], "bundles of one reader would go to several processes"),
        (["--shutdown_sources_after_idle_ms=60000"], "a quiet minute would end the job"),
        (["--environment_expiration_millis=60000"], "the connections of all Beats"),
        (
            ["--finish_bundle_before_checkpointing=false"],
            "restored from its first checkpoint it might read nothing",
        ),
        (["--parallelism=200", "--max_parallelism=100"], "must be between 1 and --max_parallelism=100"),
    ],
)
def test_what_would_lose_or_stall_is_refused_with_the_reason(further, why):
    with pytest.raises(OptionError, match=why):
        settled(*FLINK, *further)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--runner=FlinkRunner", "--flink_master=10.0.0.1:8081"), "standard image, which has no penstock"),
        (
            ("--runner=PortableRunner", "--job_endpoint=10.0.0.1:8099"),
            "standard image, which has no penstock",
        ),
        (("--runner=PortableRunner", *POOL), "needs --job_endpoint"),
        (
            ("--runner=FlinkRunner", "--environment_type=PROCESS", "--environment_config=/opt/boot"),
            "--environment_config=/opt/boot .* must be a JSON object that names the command",
        ),
        (("--runner=FlinkRunner", "--environment_type=PROCESS", "--environment_config=[1]"), "a JSON object"),
    ],
)
def test_a_job_that_would_never_start_is_refused(arguments, why):
    for streaming in (True, False):
        with pytest.raises(OptionError, match=why):
            settled(*arguments, streaming=streaming)


@pytest.mark.parametrize("streaming", [True, False])
def test_beams_own_worker_processes_are_refused(streaming):
    with pytest.raises(OptionError, match="ends an endless read at once"):
        settled("--direct_num_workers=2", streaming=streaming)


def test_an_image_of_ones_own_is_fine():
    settled(
        "--runner=FlinkRunner", "--flink_master=10.0.0.1:8081", "--sdk_container_image=registry/penstock:1"
    )


def test_a_batch_job_is_left_as_it_is_but_for_its_name():
    _, place = settled(*FLINK, streaming=False)
    assert place.chosen == ("--job_name=a-job",)


@pytest.mark.parametrize(
    ("arguments", "elsewhere"),
    [
        ((), False),
        (("--runner=DirectRunner",), False),
        (("--runner=PrismRunner",), False),
        (("--runner=FlinkRunner",), False),
        (("--runner=FlinkRunner", "--flink_master=[local]", "--environment_type=LOOPBACK"), False),
        (FLINK, True),
        (PORTABLE, True),
        (("--runner=PortableRunner", "--job_endpoint=h:1", "--environment_type=LOOPBACK"), False),
    ],
)
def test_who_reads_and_writes(arguments, elsewhere):
    assert runs_elsewhere(arguments) is elsewhere
    assert settled(*arguments)[1].elsewhere is elsewhere


def test_prism_comes_with_a_warning(caplog):
    settled("--runner=PrismRunner")
    assert "a-job: Prism listens on all interfaces" in caplog.text


def test_nothing_is_chosen_for_the_direct_runner():
    options, place = settled()
    assert place.chosen == ()
    assert options.view_as(PortableOptions).environment_type is None
    assert (
        place.describe()
        == "Beam's FnApiRunner (DirectRunner); a bundle lasts up to 3600 s, an idle read 30 s"
    )


# -- one graph -----------------------------------------------------------------------------------------

AWS = ("--region=us-east-1", "--endpoint_url=http://127.0.0.1:1", "--access_key=a", "--secret_key=b")
JOBS = {
    "beats-to-kinesis": ("--stream_name=s", "--dead_letters=file:///dev/null", *AWS),
    "kinesis-to-elasticsearch": (
        "--kinesis_stream_name=s",
        "--application_name=app",
        "--hosts=127.0.0.1:1",
        "--dead_letters=file:///dev/null",
        *AWS,
    ),
    "kinesis-to-s3": (
        "--kinesis_stream_name=s",
        "--application_name=app",
        "--archive=s3://bucket/prefix",
        *AWS,
    ),
    "s3-to-elasticsearch": ("--hosts=127.0.0.1:1", "--index=i", "--dead_letters=file:///dev/null"),
}
RUNNERS = {
    "DirectRunner": (),
    "FlinkRunner": FLINK,
    "PortableRunner": PORTABLE,
    "PrismRunner": ("--runner=PrismRunner",),
}


PRIMITIVES = {"beam:transform:impulse:v1", "beam:transform:pardo:v1", "beam:transform:group_by_key:v1"}


class Stop(BaseException):
    """Ends a job where it would run its pipeline."""


class NoCluster:
    """In place of a `Submission`: it asks no cluster."""

    def __init__(self, name, options):
        pass

    def run_streaming(self, pipeline):
        pipeline.run()

    run_batch = run_streaming


def graph_of(name, runner, tmp_path):
    """The pipeline that a job hands its runner, without the environment that its code runs in."""
    declared, options = find_job(name), JOBS[name]
    if name == "s3-to-elasticsearch":
        if not (tmp_path / "a.jsonl").exists():  # its time of modification is part of the graph
            (tmp_path / "a.jsonl").write_text('{"message": "x"}\n')
        options = (*options, f"--input=file://{tmp_path}/a.jsonl")
    seen = []

    def run(self, *arguments, **named):
        seen.append(self.to_runner_api())
        raise Stop

    with contextlib.ExitStack() as stack:
        patch = mock.patch.object
        stack.enter_context(patch(beam.Pipeline, "run", run))
        stack.enter_context(
            patch(
                batch_job.tempfile, "TemporaryDirectory", lambda prefix: contextlib.nullcontext(str(tmp_path))
            )
        )
        # The status page's meters wrap the steps of a job that runs in this process: no part of the graph.
        for place in (job, batch_job):
            stack.enter_context(patch(place, "Submission", NoCluster))
            stack.enter_context(patch(place, "shown", lambda *_, **named: contextlib.nullcontext()))
            stack.enter_context(patch(place, "steps_of", lambda pipeline: []))
            stack.enter_context(patch(place, "report", lambda name, error, **named: 1))
        stack.enter_context(patch(Job, "require_quick", lambda self, line: None))
        if isinstance(declared, StreamingJob):
            declared = dataclasses.replace(declared, prepare=lambda line: None)
        else:
            stack.enter_context(patch(elasticsearch, "prepare", lambda sink: None))
        declared.main([*options, *RUNNERS[runner]])
    assert seen, "the job did not come as far as running its pipeline"
    graph = seen[0]
    graph.components.environments.clear()
    for transform in graph.components.transforms.values():
        if transform.spec.urn not in PRIMITIVES:
            transform.spec.payload = b""  # a pickle of a composite, which no runner looks at
    return graph


def without_pacing(graph):
    """The same without the one step that differs by design: how long a reader holds its bundle (`Pacing`)."""
    for transform in graph.components.transforms.values():
        if transform.unique_name.endswith("/Read/Batches"):
            transform.spec.payload = b""
    return graph


@pytest.mark.parametrize("name", JOBS)
def test_one_graph_on_all_runners(name, tmp_path):
    # In one process a backfill takes its units one by one from a file; a cluster deals them out.
    runners = [each for each in RUNNERS if (name, each) != ("s3-to-elasticsearch", "DirectRunner")]
    first, *others = (without_pacing(graph_of(name, runner, tmp_path)) for runner in runners)
    assert len(first.components.transforms) > 5
    for other in others:
        assert other == first


def test_more_parallel_readers_are_the_only_difference_that_parallelism_makes(tmp_path):
    def steps(*further):
        with mock.patch.dict(RUNNERS, {"FlinkRunner": (*FLINK, *further)}):
            graph = graph_of("kinesis-to-elasticsearch", "FlinkRunner", tmp_path)
        return [transform.unique_name for transform in graph.components.transforms.values()]

    assert steps() == steps("--parallelism=4")


@pytest.mark.parametrize("name", ["beats-to-kinesis", "kinesis-to-elasticsearch"])
def test_the_chain_stays_unbroken(name, tmp_path):
    """No GroupByKey, Reshuffle or Flatten between the read and Acknowledge: tokens live in the process that read."""
    graph = graph_of(name, "FlinkRunner", tmp_path)
    urns = {transform.spec.urn for transform in graph.components.transforms.values()}
    assert not urns & {
        "beam:transform:group_by_key:v1",
        "beam:transform:reshuffle:v1",
        "beam:transform:flatten:v1",
    }


@pytest.mark.parametrize("name", ["kinesis-to-elasticsearch", "s3-to-elasticsearch"])
def test_a_job_whose_workers_are_here_ends_in_its_cluster_with_this_process(name, tmp_path, monkeypatch):
    watched = []

    def watch(options):
        watched.append(options.view_as(FlinkRunnerOptions).flink_master)
        return contextlib.nullcontext()

    for place in (job, batch_job):
        monkeypatch.setattr(place, "ends_with_us", watch)
    loopback = ("--runner=FlinkRunner", "--flink_master=127.0.0.1:8081", "--environment_type=LOOPBACK")
    monkeypatch.setitem(RUNNERS, "here", loopback)
    graph_of(name, "here", tmp_path)
    assert watched == ["127.0.0.1:8081"]
