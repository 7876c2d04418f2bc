"""The checkpoint moves only over what is acknowledged without a gap."""

import itertools

from penstock.io.kinesis.lease.checkpoints import ShardProgress
from penstock.io.kinesis.positions import SHARD_END, TRIM_HORIZON, Position


def opened(count=3):
    progress = ShardProgress("s", TRIM_HORIZON)
    return progress, [progress.open(Position(n)) for n in range(count)]


def test_every_order_of_acknowledgement_ends_at_the_same_place_and_never_passes_a_gap():
    for order in itertools.permutations(range(4)):
        progress, stretches = opened(4)
        done = set()
        for number in order:
            progress.acknowledge(stretches[number])
            done.add(number)
            gapless = max((n for n in range(4) if done >= set(range(n + 1))), default=None)
            assert progress.checkpoint == (TRIM_HORIZON if gapless is None else Position(gapless))
        assert progress.idle


def test_the_mark_is_what_was_handed_out_and_goes_back_with_what_is_given_back():
    progress, stretches = opened()
    assert progress.mark == TRIM_HORIZON
    for stretch in stretches[:2]:
        progress.take(stretch, 5)
    assert progress.mark == Position(1)
    progress.acknowledge(stretches[0])
    progress.give_back(stretches[1])
    assert progress.mark == Position(0) == progress.checkpoint
    progress.take(stretches[1], 5)
    assert progress.mark == Position(1)


def test_the_oldest_is_the_first_that_is_not_acknowledged():
    progress = ShardProgress("s", TRIM_HORIZON)
    first, second = (progress.open(Position(n), 1000 * n) for n in (1, 2))
    assert progress.oldest_ms == 1000
    progress.acknowledge(second)
    assert progress.oldest_ms == 1000
    progress.acknowledge(first)
    assert progress.oldest_ms is None


def test_the_end_of_a_shard_counts_when_all_of_it_is_done():
    progress, stretches = opened(2)
    progress.ended = True
    for stretch in stretches:
        assert progress.mark != SHARD_END
        progress.take(stretch, 5)
    assert progress.mark == SHARD_END
    progress.acknowledge(stretches[0])
    assert progress.checkpoint == Position(0)
    progress.acknowledge(stretches[1])
    assert progress.checkpoint == SHARD_END


def test_a_stretch_that_was_not_queued_leaves_no_trace():
    progress, stretches = opened(1)
    progress.withdraw(progress.open(Position(9)))
    assert progress.fetched == Position(0)
    progress.acknowledge(stretches[0])
    assert progress.checkpoint == Position(0)
