"""When a worker is started again, and when the job ends because of one."""

import pytest

from penstock.pipelines.workers._restarts import FIRST_PAUSE_S, LONGEST_PAUSE_S, STEADY_S, Outcome, Restarts

DENIED = Outcome(1, "access denied.")
WRONG = Outcome(2, "--index is wrong.")


def started(count=2, ready=()):
    made = Restarts(count)
    for number in made.due(0.0):
        made.started(number, 0.0)
    for number in ready:
        made.became_ready(number, 1.0)
    return made


def test_all_are_due_at_first_and_nobody_twice():
    made = Restarts(3)
    assert made.due(0.0) == [1, 2, 3]
    made.started(2, 0.0)
    assert made.due(9.0) == [1, 3]


def test_pauses_double_and_begin_anew_after_a_steady_life():
    made, now, pauses = started(ready=(1, 2)), 1.0, []
    for _ in range(12):
        made.has_ended(1, now, None, "was killed")
        pauses.append(made.lives[1].again_at - now)
        assert 1 not in made.due(made.lives[1].again_at - 0.01)
        now = made.lives[1].again_at
        assert made.due(now) == [1]
        made.started(1, now)
        made.became_ready(1, now)
    assert pauses[:4] == pytest.approx([FIRST_PAUSE_S * 2**power for power in range(4)])
    assert pauses[-1] == pytest.approx(LONGEST_PAUSE_S)
    now += STEADY_S
    made.has_ended(1, now, None, "was killed")
    assert made.lives[1].again_at - now == pytest.approx(FIRST_PAUSE_S)
    assert (made.outcome, made.lives[1].why) == (None, "was killed")


@pytest.mark.parametrize(
    ("ready", "ends", "outcome"),
    [
        ((), [(1, WRONG)], WRONG),  # as a job of one process ends
        ((1,), [(2, DENIED)], DENIED),  # not all were ready yet
        ((), [(1, None)], None),  # killed: tried again
        ((1, 2), [(1, DENIED)], None),  # the other one goes on
        ((1, 2), [(1, DENIED), (1, DENIED)], None),
        ((1, 2), [(1, DENIED), (2, WRONG)], WRONG),
        ((1, 2), [(1, DENIED), (2, None)], None),  # one was killed, so it may come back
    ],
)
def test_a_failure_ends_the_job_where_it_is_everybodys(ready, ends, outcome):
    made = started(ready=ready)
    for now, (number, failure) in enumerate(ends, 10):
        made.has_ended(number, float(now), failure, "" if failure else "was killed")
    assert made.outcome == outcome


def test_a_failure_before_the_last_readiness_counts_no_more():
    made = started(ready=(1, 2))
    made.has_ended(1, 5.0, DENIED)
    made.started(1, 6.0)
    made.became_ready(1, 7.0)
    made.has_ended(2, 8.0, DENIED)
    assert made.outcome is None


def test_one_that_ends_well_is_not_started_again():
    made = started(ready=(1, 2))
    made.has_ended(1, 5.0, None)
    assert made.due(99.0) == []
    assert not made.ended
    made.has_ended(2, 5.0, DENIED)
    assert made.outcome == DENIED
    made.has_ended(2, 5.0, None)
    assert made.ended
