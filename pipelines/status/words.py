"""`words` puts a job's numbers into one line: for the terminal each second, for the log once per minute."""

import logging
from collections.abc import Callable

from penstock.pipelines.console.logs import FIGURES
from penstock.pipelines.console.terminal_line import TerminalLine
from penstock.pipelines.status.picture import Picture

__all__ = ["MinuteLog", "line_of", "show_on"]

_LOGGER = logging.getLogger(__name__)
_LOG_EVERY_S = 60.0
_YELLOW = "33"


def line_of(job: str, picture: Picture) -> str:
    """`beats-to-kinesis  in 3,012/s  out 3,008/s  lag 0.2 s  waiting 812`.

    A narrow terminal must not cut off what is wrong. So that comes first, in the place of the name.
    """
    totals = picture.now.numbers
    words = [] if picture.reasons else [job]
    words += [f"in {_rate(picture.rate('in'))}", f"out {_rate(picture.rate('out'))}"]
    if picture.lag_s is not None:
        words.append(f"lag {_seconds(picture.lag_s)}")
    words += picture.reasons[:1]
    if picture.lag_s is not None:
        words.append(f"waiting {picture.pending:,}")
    return "  ".join(words + _errors(totals["dead_letters"], totals["retries"]))


def show_on(line: TerminalLine, job: str) -> Callable[[Picture], None]:
    """Gives a listener that rewrites the line."""

    def show(picture: Picture) -> None:
        line.show(line_of(job, picture), _YELLOW if picture.reasons else "")

    return show


class MinuteLog:
    """A listener that logs a line per minute. After the line of an idle minute it stays quiet until events come.

    Args:
        job: the job's name.
    """

    def __init__(self, job: str) -> None:
        self._job = job
        self._last: Picture | None = None
        self._idle = False

    def __call__(self, picture: Picture) -> None:
        """Looks whether a minute has passed."""
        if self._last is None:
            self._last = picture
            return
        passed = picture.now.at - self._last.now.at
        if passed < _LOG_EVERY_S:
            return
        then, now = self._last.now.numbers, picture.now.numbers
        self._last = picture
        changes = {
            name: now.get(name, 0.0) - then.get(name, 0.0)
            for name in ("in", "out", "dead_letters", "retries")
        }
        if not any(changes.values()) and not picture.pending:
            if not self._idle:
                _LOGGER.info("%s: idle; nothing came for a minute", self._job)
            self._idle = True
            return
        self._idle = False
        words = [f"{name} {changes[name]:,.0f} ({_rate(changes[name] / passed)})" for name in ("in", "out")]
        if picture.lag_s is not None:
            words += [f"lag {_seconds(picture.lag_s)}", f"waiting {picture.pending:,}"]
        words += _errors(changes["dead_letters"], changes["retries"])
        figures = {
            "events_in": changes["in"],
            "events_out": changes["out"],
            "dead_letters": changes["dead_letters"],
            "retries": changes["retries"],
            "seconds": round(passed, 1),
            "lag_s": picture.lag_s,
            "pending_events": picture.pending,
            "ready": not picture.reasons,
        }
        text = ", ".join([*words, *picture.reasons[:1]])
        _LOGGER.info("%s: in the last minute %s", self._job, text, extra={FIGURES: figures})


def _errors(refused: float, retries: float) -> list[str]:
    words = [f"refused {refused:,.0f}"] if refused else []
    return words + ([f"tried again {retries:,.0f}"] if retries else [])


def _rate(value: float) -> str:
    return f"{value:,.1f}/s" if 0 < value < 9.95 else f"{value:,.0f}/s"


def _seconds(value: float) -> str:
    if value < 120:
        return f"{value:.1f} s" if value < 10 else f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 7200 else f"{value / 3600:.1f} h"
