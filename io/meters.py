"""`METERS` counts what the connectors of this process have done since it started: counters and histograms.

Problem. A person wants to see a job while it runs; runners tell their counters at a bundle's end, which here may be an
hour away, and drop what threads outside a bundle count.

Plan. There is one registry per process (`METERS`). Connectors add to it at their edges, once per request or batch, never
once per event. A page, a scraper or a terminal reads it. Names and units are those of Prometheus.

Invariants.
- Adding costs a lock and an addition, and waits for nobody but another adder.
- Memory is bounded: a family keeps at most `MAX_SERIES` series, further label values are counted as `other`;
  of the dead letters the last `LAST_LETTERS` reasons stay, without the events.
- Nothing here holds a payload or a secret. What a peer says about a refused event may quote it: see `without_quotes`.

Source: https://prometheus.io/docs/practices/naming/
"""

import bisect
import re
import threading
import time
from collections import Counter as Counts
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from penstock.transforms.batch import DeadLetter

__all__ = [
    "METERS",
    "Counter",
    "Family",
    "Histogram",
    "LastLetter",
    "Meters",
    "Reading",
    "quantile",
    "without_quotes",
]

MAX_SERIES = 200
LAST_LETTERS = 20
MAX_REASON = 300
OTHER = "other"

# 1-2-5 steps from a millisecond to an hour: a percentile read from them is at most half a step off.
BOUNDS_S = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
    *(1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 120.0, 300.0, 900.0, 3600.0),
)


class Counter:
    """A number that only grows. Safe from any thread."""

    __slots__ = ("_lock", "_value")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._value = 0.0

    def add(self, amount: float = 1) -> None:
        """Adds `amount`, which is not negative."""
        with self._lock:
            self._value += amount

    @property
    def value(self) -> float:
        """The sum so far."""
        return self._value


class Reading(NamedTuple):
    """A histogram at one moment.

    Attributes:
        counts: how many values were in each bucket of `BOUNDS_S`, and beyond the last.
        sum: of all values, in seconds.
    """

    counts: tuple[int, ...]
    sum: float

    @property
    def total(self) -> int:
        """How many values there are."""
        return sum(self.counts)

    @classmethod
    def sum_of(cls, readings: "Sequence[Reading]") -> "Reading":
        """Gives the sum of several readings."""
        if not readings:
            return cls((), 0.0)
        counts = zip(*(each.counts for each in readings), strict=True)
        return cls(tuple(map(sum, counts)), sum(each.sum for each in readings))

    def since(self, earlier: "Reading | None") -> "Reading":
        """Gives what was added since an earlier reading of the same histogram."""
        if earlier is None:
            return self
        pairs = zip(self.counts, earlier.counts, strict=True)
        return Reading(tuple(now - then for now, then in pairs), self.sum - earlier.sum)


class Histogram:
    """Durations in seconds, in fixed buckets (`BOUNDS_S`). Safe from any thread."""

    __slots__ = ("_counts", "_lock", "_sum")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = [0] * (len(BOUNDS_S) + 1)
        self._sum = 0.0

    def observe(self, seconds: float, count: int = 1) -> None:
        """Adds `count` values of `seconds`; a clock that went back makes a value 0."""
        seconds = max(0.0, seconds)
        bucket = bisect.bisect_left(BOUNDS_S, seconds)
        with self._lock:
            self._counts[bucket] += count
            self._sum += seconds * count

    def read(self) -> Reading:
        """Gives the values so far."""
        with self._lock:
            return Reading(tuple(self._counts), self._sum)


def quantile(reading: Reading, share: float) -> float | None:
    """Gives the value in seconds below which that share of the values lies; None without values.

    Between the bounds of a bucket the value is interpolated, as Prometheus' `histogram_quantile` does.
    """
    wanted = share * reading.total
    if not wanted:
        return None
    seen = 0
    for index, count in enumerate(reading.counts):
        if count and seen + count >= wanted:
            if index == len(BOUNDS_S):
                return BOUNDS_S[-1]
            low = BOUNDS_S[index - 1] if index else 0.0
            return low + (BOUNDS_S[index] - low) * (wanted - seen) / count
        seen += count
    return BOUNDS_S[-1]


M = TypeVar("M", Counter, Histogram)


class Family(Generic[M]):
    """A family holds the meters of one name: one meter for each combination of label values.

    Args:
        name: Prometheus' name, with its unit, counters with `_total`.
        text: what it counts, in a sentence.
        labels: the labels' names.
        make: makes one meter.
    """

    def __init__(self, name: str, text: str, labels: Sequence[str], make: Callable[[], M]) -> None:
        self.name = name
        self.text = text
        self.labels = tuple(labels)
        self._make: Callable[[], M] = make
        self._lock = threading.Lock()
        self._series: dict[tuple[str, ...], M] = {}

    def of(self, *values: str) -> M:
        """Gives the meter with these label values. Beyond `MAX_SERIES` meters, all further values share one."""
        found = self._series.get(values)
        if found is not None:
            return found
        with self._lock:
            if len(self._series) >= MAX_SERIES:
                values = (OTHER,) * len(self.labels)
            return self._series.setdefault(values, self._make())

    def items(self) -> list[tuple[tuple[str, ...], M]]:
        """Gives every combination of label values with its meter."""
        with self._lock:
            return list(self._series.items())


class LastLetter(NamedTuple):
    """A dead letter as far as it may be shown: without the event.

    Attributes:
        at: when it was kept, in seconds since 1970.
        stage: which step refused the event.
        error: the kind of failure.
        reason: what happened, without what a peer quotes of the event; empty where a user's own function failed.
        status: the peer's status code.
        origin: where the event came from, in words.
    """

    at: float
    stage: str
    error: str
    reason: str
    status: int | None
    origin: str


# Elasticsearch quotes the value that it could not take, in one of these forms. The text before the quote is kept.
_QUOTES = re.compile(
    r"(Preview of field's value: |[Ff]or input string: |failed to parse date field |Cannot parse |"
    r"Text |[Vv]alue |Could not convert |Unparseable date: )(['\"[(]).*|^['\"].*",
    re.DOTALL,
)
_OURS = frozenset({"beats", "decode", "elasticsearch", "kinesis", "s3"})
"""Steps whose reasons are written by us or by a peer. The reasons of other steps are the words of a user's own exception."""


def without_quotes(reason: str) -> str:
    """Gives a reason in at most `MAX_REASON` characters, cut off where it begins to quote the event."""
    return _QUOTES.sub(lambda found: f"{found[1] or ''}…", reason)[:MAX_REASON]


class Meters:
    """All meters of a process. Safe from any thread.

    Attributes:
        requests: how long requests took, by kind of request. `sent` counts their events' bytes, `retries` what the peer
            did not take.
        last_retry: when (`time.monotonic`) and why something was not taken last, by kind of request.
        last_words: the same reason in words, with the peer's address; only where that says more.
        dead_letters: events refused for good, by step and error.
        delivery: from an event's arrival to its acknowledgement, by source.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counters: dict[str, Family[Counter]] = {}
        self._histograms: dict[str, Family[Histogram]] = {}
        self._letters: deque[LastLetter] = deque(maxlen=LAST_LETTERS)
        self.requests = self.histogram(
            "penstock_request_duration_seconds",
            "How long a request to a peer took, answered or not.",
            "request",
        )
        self.sent = self.counter(
            "penstock_request_bytes_total", "Bytes of events that requests carried.", "request"
        )
        self.retries = self.counter(
            "penstock_retries_total",
            "Records, documents or reads that were not taken at once, by why; most are tried again.",
            "request",
            "reason",
        )
        self.last_retry: dict[str, tuple[float, str]] = {}
        self.last_words: dict[str, str] = {}
        self.dead_letters = self.counter(
            "penstock_dead_letters_total", "Events refused for good and kept.", "stage", "error"
        )
        self.delivery = self.histogram(
            "penstock_delivery_duration_seconds",
            "From an event's arrival (in the stream, or here) until it was acknowledged; by acknowledged chunk.",
            "source",
        )

    def counter(self, name: str, text: str, *labels: str) -> Family[Counter]:
        """Gives the counters of that name, the same to everybody. The first caller sets their text and labels."""
        with self._lock:
            return self._counters.setdefault(name, Family(name, text, labels, Counter))

    def histogram(self, name: str, text: str, *labels: str) -> Family[Histogram]:
        """Gives the histograms of that name, as `counter` does."""
        with self._lock:
            return self._histograms.setdefault(name, Family(name, text, labels, Histogram))

    @property
    def counters(self) -> list[Family[Counter]]:
        """All families of counters."""
        with self._lock:
            return list(self._counters.values())

    @property
    def histograms(self) -> list[Family[Histogram]]:
        """All families of histograms."""
        with self._lock:
            return list(self._histograms.values())

    # -- what connectors tell --------------------------------------------------------------------------

    def requested(self, request: str, seconds: float, size: int = 0) -> None:
        """A request to a peer has ended: its kind (`elasticsearch_bulk`), its duration, its body's bytes."""
        self.requests.of(request).observe(seconds)
        if size:
            self.sent.of(request).add(size)

    def retried(self, request: str, reason: str, count: int = 1, words: str = "") -> None:
        """So many records have to be sent again.

        Args:
            request: which kind of request.
            reason: why, in a word (a status, an error code).
            count: how many records.
            words: why, for a person, with the peer's address; empty where `reason` says it all.
        """
        self.retries.of(request, reason).add(count)
        self.last_retry[request] = (time.monotonic(), reason)
        self.last_words[request] = words

    def kept(self, letters: Sequence[DeadLetter]) -> None:
        """These events were refused and are kept as dead letters."""
        for (stage, error), count in Counts((letter.stage, letter.error) for letter in letters).items():
            self.dead_letters.of(stage, error).add(count)
        now = time.time()
        for letter in letters[-LAST_LETTERS:]:
            reason = without_quotes(letter.reason) if letter.stage in _OURS else ""
            words = ", ".join(
                f"{name} {value}"
                for name, value in letter.event.origin.describe().items()
                if name not in ("arrived_ms", "partition_key")  # a key may be made of the event
            )
            self._letters.append(
                LastLetter(now, letter.stage, letter.error, reason, letter.status, words[:MAX_REASON])
            )

    @property
    def last_letters(self) -> list[LastLetter]:
        """The last dead letters, the newest first."""
        return list(reversed(self._letters))


METERS = Meters()
"""The registry of this process."""
