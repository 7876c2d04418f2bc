"""Each of several workers gets its share of a bound; a job that several must not read is refused."""

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from penstock.io.beats.options import BeatsOptions
from penstock.io.beats.source import ReadFromBeats
from penstock.io.chain import whole_chain
from penstock.io.chain.acknowledge import Acknowledge
from penstock.io.errors import OptionError
from penstock.io.shares import SHARES, Shares
from penstock.pipelines.job_options import BatchJobOptions, JobOptions, cores, processes_of


@pytest.fixture
def shared(monkeypatch):
    monkeypatch.setattr(SHARES, "processes", 3)


@pytest.mark.parametrize("options", [JobOptions, BatchJobOptions])
def test_how_many(options):
    assert options().processes == 1
    assert options(workers="3").processes == 3
    assert options(workers="auto").processes == cores() >= 1
    for wrong in ("0", "-1", "257", "two", "", "1e9", "\uff19"):
        with pytest.raises(OptionError, match="neither auto nor a number from 1 to 256"):
            options(workers=wrong)


def test_a_worker_starts_no_workers(shared):
    assert not JobOptions(workers="3").starts_workers


@pytest.mark.parametrize(
    ("quota", "most"), [("50000 100000", 1), ("max 100000", 999), ("100000 0", 999), ("", 999)]
)
def test_a_container_s_share_of_the_cores_counts(tmp_path, quota, most):
    file = tmp_path / "cpu.max"
    file.write_text(quota)
    assert 1 <= cores(file) <= most
    assert cores(tmp_path / "none") == processes_of("auto") or cores(tmp_path / "none") >= 1


@pytest.mark.parametrize(
    ("processes", "bound", "least", "part"), [(1, 10, 99, 10), (3, 10, 1, 4), (8, 3, 1, 1), (4, 100, 60, 60)]
)
def test_parts(processes, bound, least, part):
    assert Shares(processes).part(bound, least=least) == part


def test_beats_share_the_port_and_the_bounds():
    options = BeatsOptions()
    assert options.part(Shares(1)) is options
    part = options.part(Shares(8))
    assert part.share_port
    assert part.max_pending_records * 8 >= options.max_pending_records
    assert part.max_pending_bytes == options.max_frame_bytes  # else its largest frame could never be read
    assert part.max_connections == options.max_connections // 8


def test_only_reads_that_share_are_run_by_several(shared):
    pipeline = beam.Pipeline(runner=FnApiRunner())
    _ = pipeline | ReadFromBeats(port=1) | Acknowledge()
    whole_chain.require_shareable(pipeline)
    _ = pipeline | "Numbers" >> beam.Create([1])
    with pytest.raises(OptionError, match="--workers 3: each worker would read all that Numbers"):
        whole_chain.require_shareable(pipeline)
