"""Each acknowledgement is given when it is due, and once."""

import pytest

from penstock.io.beats.wire._acks import Due, Ledger
from tests.tools.peers.lumberjack import ack

V1, V2 = 0x31, 0x32


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def add(ledger: Ledger, number: int | None, final: bool = True, version: int = V2) -> Due:
    due = Due(number, final, version, 0.0)
    ledger.add(due)
    return due


def test_a_window_is_acknowledged_once(ledger: Ledger) -> None:
    due = add(ledger, 50)
    assert not ledger.settled
    assert ledger.due() == b""
    due.done = True
    assert ledger.due() == ack(50)
    assert ledger.due() == b""
    assert ledger.settled


def test_windows_are_acknowledged_in_the_order_they_came(ledger: Ledger) -> None:
    first, second, third = add(ledger, 1), add(ledger, 2), add(ledger, 3)
    second.done = True
    assert ledger.due() == b""
    first.done = True
    assert ledger.due() == ack(1) + ack(2)
    third.done = True
    assert ledger.due() == ack(3)


def test_a_large_window_is_acknowledged_in_parts(ledger: Ledger) -> None:
    parts = [add(ledger, 4, False), add(ledger, 8, False), add(ledger, 12, False), add(ledger, 14)]
    parts[1].done = True
    assert ledger.due() == b""
    parts[0].done = True
    assert ledger.due() == ack(8)
    parts[2].done = parts[3].done = True
    assert ledger.due() == ack(14), "a part that its window's end makes superfluous isn't sent"
    assert ledger.settled


def test_parts_without_a_number_say_nothing(ledger: Ledger) -> None:
    part, end = add(ledger, None, False), add(ledger, 9)
    part.done = True
    assert ledger.due() == b""
    assert not ledger.settled
    end.done = True
    assert ledger.due() == ack(9)


def test_each_window_is_answered_in_its_own_version(ledger: Ledger) -> None:
    first, second = add(ledger, 1, version=V1), add(ledger, 2)
    assert ledger.version == V1
    first.done = second.done = True
    assert ledger.due() == ack(1, b"1") + ack(2)


def test_a_sequence_number_that_wrapped_is_acknowledged_as_it_is(ledger: Ledger) -> None:
    add(ledger, 0).done = True
    assert ledger.due() == ack(0)


def test_what_was_not_taken_in_leaves_no_trace(ledger: Ledger) -> None:
    first, second = add(ledger, 1, False), add(ledger, 2)
    ledger.withdraw(second)
    ledger.withdraw(first)
    assert ledger.settled
