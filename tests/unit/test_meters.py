"""Meters add up from any thread, stay bounded, and show nothing of an event."""

import threading

import pytest

from penstock.io import meters
from penstock.io.meters import BOUNDS_S, Family, Histogram, Meters, Reading, quantile, without_quotes
from penstock.transforms.batch import DeadLetter, Event


class Origin:
    arrived_ms = 5

    def position(self):
        return None

    def describe(self):
        return {"stream": "orders", "arrived_ms": 5}


def letter(number, stage="elasticsearch", reason="no"):
    return DeadLetter(Event(b"the payload", Origin(), number), f"error{number}", reason, stage)


def test_threads_lose_nothing():
    made = Meters()
    counter, histogram = made.counter("c", "", "kind"), made.histogram("h", "", "kind")

    def work():
        for _ in range(2000):
            counter.of("a").add(2)
            histogram.of("a").observe(0.004)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter.of("a").value == 16_000
    assert histogram.of("a").read().total == 8000
    assert histogram.of("a").read().sum == pytest.approx(32)


def test_a_family_is_the_same_for_whoever_asks_and_bounded():
    made = Meters()
    family = made.counter("c", "", "code")
    assert made.counter("c", "", "code") is family
    for number in range(3 * meters.MAX_SERIES):
        family.of(f"code{number}").add()
    assert len(family.items()) == meters.MAX_SERIES + 1
    assert family.of(meters.OTHER).value == 2 * meters.MAX_SERIES
    assert sum(meter.value for _, meter in family.items()) == 3 * meters.MAX_SERIES


@pytest.mark.parametrize(
    ("seconds", "bucket"),
    [(-1, 0), (0, 0), (0.001, 0), (0.0011, 1), (3600, len(BOUNDS_S) - 1), (1e9, len(BOUNDS_S))],
)
def test_buckets(seconds, bucket):
    histogram = Histogram()
    histogram.observe(seconds)
    assert histogram.read().counts[bucket] == 1


def test_quantiles():
    histogram = Histogram()
    assert quantile(histogram.read(), 0.5) is None
    for _ in range(99):
        histogram.observe(0.015)
    histogram.observe(4.0)
    before = histogram.read()
    assert 0.01 < quantile(before, 0.5) <= 0.02
    assert 0.01 < quantile(before, 0.99) <= 0.02
    assert 2 < quantile(before, 1.0) <= 5
    assert quantile(Reading.sum_of([]), 0.5) is None
    histogram.observe(1e6)
    assert quantile(histogram.read().since(before), 0.5) == BOUNDS_S[-1]
    assert histogram.read().since(before).total == 1


def test_dead_letters_are_counted_and_the_last_ones_told_without_the_event():
    made = Meters()
    made.kept(
        [letter(number) for number in range(50)] + [letter(1), letter(2, "my_step", "the payload broke")]
    )
    assert sum(meter.value for _, meter in made.dead_letters.items()) == 52
    last = made.last_letters
    assert len(last) == meters.LAST_LETTERS
    assert (last[0].stage, last[0].error, last[0].reason) == ("my_step", "error2", "")
    assert last[1].error == "error1"
    assert last[1].origin == "stream orders"
    assert "payload" not in repr(last)


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        (
            "failed to parse field [n] of type [integer] in document with id 'x'. Preview of field's value: 'secret'",
            "failed to parse field [n] of type [integer] in document with id 'x'. Preview of field's value: …",
        ),
        ('mapper [a] cannot be changed: For input string: "secret"', "mapper [a] cannot be changed: For input string: …"),
        ("failed to parse date field [secret] with format [strict]", "failed to parse date field …"),
        ("Text 'secret' could not be parsed at index 0", "Text …"),
        ("Numeric value (5554443332221) out of range of int", "Numeric value …"),
        ("'7secret' is not an IP string literal.", "…"),
        ("object mapping for [a] tried to parse field [a] as object", None),
        ("unexpected character: line 1 column 1 (char 0)", None),
        ("status 413: 99 bytes are more than the server takes", None),
    ],
)  # fmt: skip
def test_reasons_end_where_they_quote_the_event(reason, shown):
    assert without_quotes(reason) == (reason if shown is None else shown)


def test_reasons_are_bounded():
    assert len(without_quotes("x" * 10_000)) == meters.MAX_REASON


def test_a_family_without_labels():
    family = Family("c", "", (), meters.Counter)
    family.of().add(3)
    assert [(labels, meter.value) for labels, meter in family.items()] == [((), 3)]
