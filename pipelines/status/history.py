"""`History` keeps the last hour as points, in bounded memory; the page draws it.

All series have a point for each moment; None where there is no value. A series that begins later has None before.
"""

import itertools
from collections import deque
from collections.abc import Mapping
from typing import Any

__all__ = ["History"]

POINTS = 720
EVERY_S = 5.0
MAX_SERIES = 32


class History:
    """Keeps the points of some series. Not safe from several threads.

    Args:
        points: how many are kept.
    """

    def __init__(self, points: int = POINTS) -> None:
        self._points = points
        self._times: deque[float] = deque(maxlen=points)
        self._series: dict[str, deque[float | None]] = {}
        self.last = 0
        """The number of the newest point, from 1; 0 before the first."""

    def add(self, at: float, values: Mapping[str, float | None]) -> None:
        """Adds a point of every series; `at` is in seconds since 1970. Series beyond `MAX_SERIES` are left out."""
        for name in values:
            if name not in self._series and len(self._series) < MAX_SERIES:
                self._series[name] = deque([None] * len(self._times), maxlen=self._points)
        self._times.append(at)
        for name, series in self._series.items():
            series.append(values.get(name))
        self.last += 1

    def since(self, number: int) -> dict[str, Any]:
        """Gives the points after that number: `{"last": N, "every_s": 5, "times": [...], "series": {name: [...]}}`."""
        wanted = (
            min(max(0, self.last - number), len(self._times)) if number <= self.last else len(self._times)
        )
        first = len(self._times) - wanted
        return {
            "last": self.last,
            "every_s": EVERY_S,
            "times": [round(each) for each in itertools.islice(self._times, first, None)],
            "series": {
                name: [_short(each) for each in itertools.islice(series, first, None)]
                for name, series in self._series.items()
            },
        }


def _short(value: float | None) -> float | None:
    """Cuts a number to three digits: a chart shows no more, and they take a quarter of the bytes."""
    return None if value is None else float(f"{value:.3g}")
