"""Pending events are bounded by the memory that they take, however small or large they are."""

import subprocess
import sys

import pytest

from tests.tools.jobs import memory_of_events
from tests.tools.jobs.memory_of_events import BOUND

ENCODING = 64 << 20
"""docs/s3.md: for each upload under way, besides the file."""


def measured(*pairs):
    command = [sys.executable, "-P", memory_of_events.__file__, *pairs]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    return dict(zip(pairs, (tuple(map(int, line.split())) for line in done.stdout.splitlines()), strict=True))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_events_of_any_size_take_what_the_bounds_say():
    pairs = [
        *("kinesis:10", "kinesis:350", "kinesis:1048576", "aggregated:10", "beats:10", "beats:1048576"),
        *("archive:10", "archive:350", "archive:1048576"),
    ]
    for pair, (held, most) in measured(*pairs).items():
        if pair.startswith("archive"):
            assert most <= BOUND + BOUND // 3 + ENCODING, (pair, most)
        else:
            assert 0.8 * BOUND < held < 1.15 * BOUND, (pair, held)
