"""KPL's rate limit: two token buckets a shard, each a second deep."""

import pytest

from penstock.io.kinesis.write._limiter import ShardLimiter


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_second_of_the_plain_limit_goes_at_once(clock: Clock) -> None:
    limiter = ShardLimiter(150, clock)
    assert all(limiter.wait_s("a", 10) == 0 for _ in range(1000))
    assert limiter.wait_s("a", 10) == 0.05
    assert limiter.wait_s("b", 10) == 0, "shards are apart"


def test_bytes_count_too(clock: Clock) -> None:
    limiter = ShardLimiter(100, clock)
    assert limiter.wait_s("a", 1 << 20) == 0
    assert limiter.wait_s("a", 1 << 19) == pytest.approx(0.5)
    clock.now = 0.5
    assert limiter.wait_s("a", 1 << 19) == 0


@pytest.mark.parametrize(("rate_limit", "expected"), [(50, 500), (100, 1000), (150, 1500)])
def test_the_rate_is_a_part_of_the_limit(clock: Clock, rate_limit: int, expected: int) -> None:
    limiter = ShardLimiter(rate_limit, clock)
    while limiter.wait_s("a", 1) == 0:
        pass
    sent = 0
    for _ in range(100):
        clock.now += 0.1
        while limiter.wait_s("a", 1) == 0:
            sent += 1
    assert sent == pytest.approx(expected * 10, rel=0.01)


def test_the_largest_record_passes(clock: Clock) -> None:
    limiter = ShardLimiter(1, clock)
    assert limiter.wait_s("a", (1 << 20) + 300) == 0
