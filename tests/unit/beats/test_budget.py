"""Turns and bounds: who waits, who goes on, and who is closed for it; without a socket."""

import threading

import pytest

from penstock.io.beats.server._budget import Budget
from penstock.io.beats.server._holdings import Hold, Holdings
from tests.tools.machine.waiting import wait_until

KIB, MIB = 1 << 10, 1 << 20


def never() -> bool:
    return False


class Waiters:
    """Threads that wait for a budget; `gone_on` names those that got it, in their order."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._threads: list[threading.Thread] = []
        self.gone_on: list[str] = []
        self.left: list[str] = []

    def wait(self, name: str, amount: int = 1, *, first: bool = False, own: int = 0) -> None:
        waiting, gone = sum(map(len, self._budget._queues)), len(self.gone_on)

        def run() -> None:
            taken = self._budget.take(amount, never, first=first, own=own)
            (self.gone_on if taken else self.left).append(name)

        self._threads.append(threading.Thread(target=run))
        self._threads[-1].start()
        wait_until(lambda: sum(map(len, self._budget._queues)) > waiting or len(self.gone_on) > gone)

    def end(self) -> None:
        self._budget.close()
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive()


def test_those_with_nothing_pending_and_the_others_take_turns() -> None:
    budget = Budget(1)
    assert budget.take(1, never)
    waiters = Waiters(budget)
    for name in ("busy 1", "busy 2", "busy 3"):
        waiters.wait(name)
    for name in ("new 1", "new 2"):
        waiters.wait(name, first=True)
    expected = ["new 1", "busy 1", "new 2", "busy 2", "busy 3"]
    for count in range(1, 6):
        budget.give_back(1)
        wait_until(lambda count=count: len(waiters.gone_on) == count)  # type: ignore[misc]
    waiters.end()
    assert waiters.gone_on == expected


def test_a_large_one_is_not_overtaken_and_a_too_large_one_goes_alone() -> None:
    budget = Budget(10)
    assert budget.take(6, never)
    waiters = Waiters(budget)
    waiters.wait("large", 8)
    waiters.wait("small", 1)
    assert not budget.take_at_once(1, 10), "who comes later gets nothing that a waiter needs"
    assert budget.missing() == 4
    budget.give_back(6)
    wait_until(lambda: len(waiters.gone_on) == 2)
    waiters.wait("too large", 50)
    waiters.wait("after it", 1)
    budget.give_back(9)
    wait_until(lambda: len(waiters.gone_on) == 3)
    assert (budget.used, budget.contended) == (50, True)
    waiters.end()
    assert waiters.gone_on[2:] == ["too large"]
    assert waiters.left == ["after it"]


def test_when_all_that_is_used_belongs_to_waiters_the_first_goes_on() -> None:
    budget = Budget(10)
    assert budget.take(5, never)
    assert budget.take(5, never)
    waiters = Waiters(budget)
    waiters.wait("one", 5, own=5)
    assert waiters.gone_on == []
    waiters.wait("two", 5, own=5)
    wait_until(lambda: waiters.gone_on == ["one"])
    waiters.end()


def test_who_gives_up_lets_the_next_go_on() -> None:
    budget, stop = Budget(10), threading.Event()
    assert budget.take(6, never)
    waiters = Waiters(budget)
    gone = threading.Thread(target=lambda: budget.take(8, stop.is_set))
    gone.start()
    wait_until(lambda: budget.contended)
    waiters.wait("small", 1)
    stop.set()
    wait_until(lambda: waiters.gone_on == ["small"])
    gone.join(20)
    waiters.end()


class Peers:
    """Clients of `Holdings`, with a clock that the test drives."""

    def __init__(self, bound: int = 4 * MIB, clients: int = 100) -> None:
        self.now = 100.0
        self.holdings = Holdings(bound, clients, lambda: self.now)
        self.closed: list[str] = []

    def join(self, name: str) -> Hold:
        def close(reason: str) -> None:
            assert "--max_pending_bytes" in reason
            self.closed.append(name)
            self.holdings.leave(hold)

        hold = self.holdings.join(close)
        return hold

    def send(self, hold: Hold, size: int, whole: int) -> None:
        """Some bytes of a frame of `whole` bytes come."""
        room = self.holdings.may_read(hold, whole if hold.held else 0, never, first=False)
        assert room >= min(size, self.holdings.share)
        self.holdings.settle(hold, hold.held + size, size, begun=True, finished=False)
        self.holdings.may_read(hold, whole, never, first=False)
        self.holdings.settle(hold, hold.held, 0, begun=True, finished=False)

    def starve(self) -> "tuple[threading.Thread, list[int]]":
        """A client comes that has to wait, for half of the pool."""
        hold, rooms = self.join("starved"), []
        self.holdings.settle(hold, 16 * KIB, 16 * KIB, begun=True, finished=False)

        def run() -> None:
            rooms.append(self.holdings.may_read(hold, MIB, never, first=False))

        thread = threading.Thread(target=run)
        thread.start()
        return thread, rooms


def test_slow_frames_are_closed_longest_held_first_while_others_wait() -> None:
    peers = Peers()
    stalled = []
    for number in range(4):  # two seconds apart
        stalled.append(peers.join(f"stalled {number}"))
        peers.send(stalled[-1], 300 * KIB, 400 * KIB)
        peers.now += 2
    moving = peers.join("moving")
    peers.send(moving, 100 * KIB, 400 * KIB)
    peers.now += 9.5
    peers.send(moving, 20 * KIB, 400 * KIB)
    thread, rooms = peers.starve()
    wait_until(lambda: bool(rooms) or bool(peers.closed) or not thread.is_alive())
    thread.join(20)
    assert rooms[0] > 0
    assert peers.closed == ["stalled 0", "stalled 1", "stalled 2"], (
        "the longest-held, and no more than needed"
    )


def test_a_progressing_frame_is_never_closed_and_a_stalled_one_not_while_nobody_waits() -> None:
    peers = Peers()
    stalled, moving = peers.join("stalled"), peers.join("moving")
    peers.send(stalled, 300 * KIB, 400 * KIB)
    peers.send(moving, 300 * KIB, 2 * MIB)
    peers.now += 60
    assert peers.closed == []
    for _ in range(12):
        peers.now += 1
        peers.send(moving, 2 * KIB, 2 * MIB)
    thread, rooms = peers.starve()
    thread.join(30)
    assert rooms[0] > 0
    assert "moving" not in peers.closed


def test_who_announces_much_and_sends_little_keeps_nobody_out() -> None:
    peers = Peers()
    liar = peers.join("liar")
    peers.send(liar, 20 * KIB, 2 * MIB)
    held = peers.join("another")
    peers.send(held, 20 * KIB, 2 * MIB) if peers.holdings.taken < MIB else None
    for _ in range(11):
        peers.now += 1
        peers.send(liar, 2 * KIB, 2 * MIB)
    thread, rooms = peers.starve()
    thread.join(30)
    assert rooms[0] > 0
    assert "liar" not in peers.closed


@pytest.mark.parametrize("clients", [1, 100, 2000])
def test_what_is_held_is_bounded_and_free_again(clients: int) -> None:
    peers = Peers(clients=clients)
    holds = [peers.join(str(number)) for number in range(clients)]
    for hold in holds:
        room = peers.holdings.may_read(hold, 0, never, first=False)
        assert 0 < room <= 256 * KIB
        peers.holdings.settle(hold, room, room, begun=True, finished=False)
    assert sum(hold.held for hold in holds) <= 4 * MIB
    for hold in holds:
        peers.holdings.settle(hold, 0, 1, begun=False, finished=True)
    assert peers.holdings.taken == 0
