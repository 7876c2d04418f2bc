"""Beam's experimental UnboundedSource on its FnApiRunner."""

import itertools
import subprocess
import sys
from pathlib import Path

import apache_beam as beam

from tests.upstream.faults import CALLS, SEEN, Counting, See, fault, run

LEAK = """
import sys
sys.path.insert(0, sys.argv[1])
import faults
resident = lambda: int(open("/proc/self/statm").read().split()[1]) * 4096
faults.run(faults.Counting(30).read())
before = resident()
faults.run(faults.Counting(300).read())
print(resident() - before)
"""


class Refusing(Counting):
    def split(self, desired_num_splits, options=None):
        raise PermissionError("you may not list the shards")


@fault("checks before the pipeline runs (`check` of sources) can go: split() may ask the service itself.")
def test_a_failing_split_ends_the_run():
    failure = None
    try:
        run(Refusing(1).read())
    except Exception as error:
        failure = error
    assert failure is not None


@fault("sources need not carry their own options: create_reader is given the pipeline's.")
def test_a_reader_is_given_the_options():
    run(Counting(1).read())
    assert CALLS
    assert all(call[1] is not None for call in CALLS if call[0] == "options")


@fault("an idle reader need not block in advance(): poll_interval spares the CPU (Pacing.block_s).")
def test_an_idle_source_is_polled_at_its_interval():
    run(Counting(5).read(poll_interval=0.5))
    idle = [call[1] for call in CALLS if call[0] == "advance"][1::2]
    assert min(later - earlier for earlier, later in itertools.pairwise(idle)) > 0.4


@fault("bundles of an hour (Pacing.of) can go: the runner keeps nothing of a bundle that is done.")
def test_a_bundle_leaves_nothing_behind():
    # In a process of its own: what lies free in a used one's heap would hide the growth.
    command = [sys.executable, "-P", "-c", LEAK, str(Path(__file__).parent)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert int(done.stdout) / 300 < 5000, "bytes per bundle"


@fault("metrics of a long run can be had from the result of the FnApiRunner.", raises=RecursionError)
def test_metrics_of_many_bundles_can_be_read():
    # With the limit of 1000 it takes 1,500 bundles, half a minute.
    result = run(Counting(300).read())
    limit = sys.getrecursionlimit()
    try:
        sys.setrecursionlimit(_depth() + 150)
        result.metrics().query()
    finally:
        sys.setrecursionlimit(limit)


@fault("one reader a shard is possible: the splits of one worker are read at the same time.")
def test_splits_are_read_at_the_same_time():
    run(Counting(3, nap_s=0.1, splits=2).read())
    naps = sorted(call[1:] for call in CALLS if call[0] == "advance")
    assert len(naps) == 12
    assert any(later < end for (_, end), (later, _) in itertools.pairwise(naps))


@fault("one process can be scaled by --direct_num_workers instead of by starting the job twice.")
def test_two_workers_read_to_the_end():
    run(Counting(5).read(), beam.ParDo(See()), options=("--direct_num_workers=2",))
    assert len(SEEN) >= 5


@fault("a sink may stand behind a Reshuffle: what an endless source gives comes out while it runs.")
def test_what_is_reshuffled_comes_out_before_the_end():
    run(Counting(10, nap_s=0.1).read(), beam.Reshuffle(), beam.ParDo(See()))
    last_call = [call for call in CALLS if call[0] == "advance"][-1][1]
    assert SEEN
    assert SEEN[0][0] < last_call - 0.5


def _depth() -> int:
    depth, frame = 0, sys._getframe()
    while frame is not None:
        depth, frame = depth + 1, frame.f_back
    return depth
