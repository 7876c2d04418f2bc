"""The protocol core against a second reading of the same bytes; and faults seeded into the core, which that must find."""

import dataclasses
import importlib.util
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock.io.beats.wire import _acks, _data_events, _inflate, _limits, _protocol
from tests.tools.models.lumberjack_model import Reference, Rules, compare, sent_by_chance

FIXTURES = Path(__file__).parents[1] / "fixtures"
RULES = Rules(ratio_free=3000)
INPUTS = 3000


@pytest.fixture
def small_free_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ratio counts beyond 3,000 bytes here: the inputs are small."""
    monkeypatch.setattr(_inflate, "RATIO_FREE_BYTES", RULES.ratio_free)


def limits_of(module: Any = _limits) -> Any:
    given = dataclasses.asdict(RULES)
    del given["ratio_free"]
    return module.Limits(**given)


def inputs(count: int) -> Iterator[tuple[bytes, list[int]]]:
    for seed in range(count):
        luck = random.Random(seed)
        data = sent_by_chance(luck)
        yield data, [luck.randrange(100_000) for _ in range(luck.randrange(6))]


@pytest.mark.usefixtures("small_free_ratio")
def test_the_core_reads_what_the_reference_reads() -> None:
    seen = set()
    for data, cuts in inputs(INPUTS):
        compare(data, cuts, RULES, _protocol.Receiver(limits_of()), _acks.Ledger(), _acks.Due)
        seen.add(Reference(data, RULES).broken)
    assert len(seen) >= 8, seen


@pytest.mark.parametrize("name", ["compressed", "uncompressed"])
def test_the_core_reads_a_real_filebeat_as_the_reference_does(name: str) -> None:
    data = (FIXTURES / f"filebeat_7.17_{name}.bin").read_bytes()
    reference = Reference(data, RULES)
    assert [len(window.events) for window in reference.windows] == [50] * 4
    for cuts in ([], [1, 7, 100, 5000], list(range(0, len(data), 97))):
        compare(data, cuts, RULES, _protocol.Receiver(limits_of()), _acks.Ledger(), _acks.Due)


FAULTS = {
    "an event too many is read": (_protocol, "(self._window - self._seen, lim", "(self._window - self._seen, 1 + lim"),
    "the last event of a frame is lost": (_protocol, "min(end - header, enough", "min(end - header - 1, enough"),
    "the last number is not kept": (_protocol, "_position, self._sequence = position, seq", "_position, _ = position, seq"),
    "a part is told by any number": (_protocol, "final or self._sequence == self._seen", "final or self._sequence"),
    "a short window is forgotten": (_protocol, "if self.in_window and self._seen else", "if False else"),
    "a window of 0 is not answered": (_protocol, "return empty\n            self._w", "return None\n            self._w"),
    "windows are not limited": (_limits, "if size > self.max_window_size:", "if size > 2**40:"),
    "frames are not limited": (_limits, "if length > self.max_frame_bytes:", "if length > 2**40:"),
    "nesting is not limited": (_limits, "if depth > self.max_nesting:", "if depth > 99:"),
    "inflating is not limited": (_inflate, "most = min(allowed, room)", "allowed = most = 1 << 30"),
    "what is nested does not count": (_protocol, "        self._inflatable -= len(inflated)\n", ""),
    "the ratio is twice its limit": (_inflate, "max_ratio * len(data)", "2 * max_ratio * len(data)"),
    "events outside of windows are taken": (
        _protocol,
        "        if not self.in_window:\n            raise _outside()\n        start, scan",
        "        start, scan",
    ),
    "what follows a stream is ignored": (_inflate, "if stream.unused_data:", "if False:"),
    "keys are decoded wrongly": (_data_events, '.decode("utf-8", "replace")] = buffer[', '.decode("latin-1")] = buffer['),
    "an error is not final": (_protocol, "            self._error = str(error)\n", ""),
    "a window's end is told twice": (_acks, "                partial = None\n", "                partial = stretch\n"),
    "an end is told too early": (_acks, "while queue and queue[0].done:", "while queue:"),
}  # fmt: skip
"""What is changed, in which module; the reference must notice each."""


def with_fault(module: Any, before: str, after: str) -> Callable[[bytes, list[int]], None]:
    """Compares with a core in which one line is another one."""
    names = [each.__name__ for each in (_limits, _inflate, _data_events, _acks, _protocol)]
    kept = {name: sys.modules[name] for name in names}
    try:
        made: dict[str, Any] = {}
        for name in names:  # in the order in which they import each other
            spec = importlib.util.find_spec(name)
            assert spec is not None
            assert spec.origin is not None
            source = Path(spec.origin).read_text()
            if name == module.__name__:
                assert source.count(before) == 1, f"{name}: the fault {before!r} has to be seeded anew"
                source = source.replace(before, after)
            made[name] = sys.modules[name] = importlib.util.module_from_spec(spec)
            exec(compile(source, spec.origin, "exec"), made[name].__dict__)
    finally:
        sys.modules.update(kept)
    limits, inflating, _, acks, protocol = made.values()
    inflating.RATIO_FREE_BYTES = RULES.ratio_free

    def check(data: bytes, cuts: list[int]) -> None:
        compare(data, cuts, RULES, protocol.Receiver(limits_of(limits)), acks.Ledger(), acks.Due)

    return check


@pytest.mark.parametrize("name", FAULTS)
def test_a_seeded_fault_is_found(name: str) -> None:
    check = with_fault(*FAULTS[name])
    for data, cuts in inputs(INPUTS):
        try:
            check(data, cuts)
        except Exception:
            return
    pytest.fail(f"{INPUTS} inputs did not show that {name}")
