"""The pool: bounded threads, due times, fairness, an end."""

import threading
import time

import pytest

from penstock.io.kinesis.read.fetching import FetchPool
from tests.tools.machine.waiting import wait_until


@pytest.fixture
def pools():
    made = []

    def make(threads, failed=lambda error: None):
        made.append(FetchPool(threads, failed))
        return made[-1]

    yield make
    for pool in made:
        pool.stop()


def test_a_hot_task_and_a_stuck_one_starve_nobody(pools):
    pool = pools(2)
    release = threading.Event()
    runs = dict.fromkeys(range(50), 0)
    hot = [0]

    def stuck():
        release.wait(60)

    def busy():
        hot[0] += 1
        return 0.0

    pool.add(stuck)
    pool.add(busy)
    for number in runs:

        def task(number=number):
            runs[number] += 1
            return 0.01

        pool.add(task)
    wait_until(lambda: min(runs.values()) >= 5)
    assert hot[0] >= 5
    assert threading.active_count() < 50
    release.set()


def test_a_task_runs_when_it_is_due_and_never_while_it_runs(pools):
    pool = pools(4)
    starts, ends = [], []

    def task():
        starts.append(time.monotonic())
        time.sleep(0.02)
        ends.append(time.monotonic())
        return 0.05 if len(ends) < 5 else None

    pool.add(task)
    wait_until(lambda: len(ends) == 5)
    gaps = [start - end for start, end in zip(starts[1:], ends, strict=False)]
    assert min(gaps) >= 0.049
    time.sleep(0.1)
    assert len(ends) == 5


def test_an_early_task_overtakes_one_that_sleeps(pools):
    pool = pools(2)
    done = threading.Event()
    slept = threading.Event()
    pool.add(lambda: slept.set() or 3600.0)
    assert slept.wait(60)
    pool.add(lambda: done.set())
    assert done.wait(60)


def test_threads_start_with_the_tasks_up_to_the_limit(pools):
    pool = pools(3)
    together = threading.Barrier(3, timeout=60)

    def task():
        together.wait()

    for _ in range(6):
        pool.add(task)
    wait_until(lambda: pool._tasks == 0)
    assert len(pool._threads) == 3


def test_a_defect_is_told_and_the_others_go_on(pools, caplog):
    failures = []
    pool = pools(1, failures.append)

    def defect():
        raise ZeroDivisionError

    ran = threading.Event()
    pool.add(defect)
    pool.add(lambda: ran.set())
    assert ran.wait(60)
    assert isinstance(failures[0], ZeroDivisionError)


def test_stop_waits_for_what_runs_and_starts_nothing_more(pools):
    pool = pools(2)
    running, finished, late = threading.Event(), threading.Event(), threading.Event()

    def slow():
        running.set()
        time.sleep(0.2)
        finished.set()
        return 0.0

    pool.add(slow)
    assert running.wait(60)
    pool.stop()
    assert finished.is_set()
    pool.add(lambda: late.set())
    assert not late.wait(0.1)
