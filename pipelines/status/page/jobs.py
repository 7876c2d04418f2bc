"""`jobs` answers for what a server shows: one job, or several of one command side by side, each by its name."""

from collections.abc import Sequence
from urllib.parse import unquote

import orjson

from penstock.pipelines.status import report
from penstock.pipelines.status.metrics import metrics_of
from penstock.pipelines.status.monitor import Monitor

__all__ = ["Jobs"]


class Jobs:
    """The jobs of a page.

    Args:
        monitors: one for each job; the page begins with the first.
    """

    def __init__(self, monitors: Sequence[Monitor]) -> None:
        self._monitors = {monitor.job.name: monitor for monitor in monitors}
        self._first = monitors[0]

    def status_json(self, query: str) -> bytes | None:
        """Gives the JSON that the page polls, with the other jobs in short; None where no job is called as asked for.

        Args:
            query: `since=N&job=NAME`; without them everything, and the first job.
        """
        asked = dict(part.partition("=")[::2] for part in query.split("&"))
        monitor = self._monitors.get(unquote(asked["job"])) if asked.get("job") else self._first
        if monitor is None:
            return None
        since = asked.get("since", "")
        told = monitor.status_json(
            int(since) if since.isascii() and since.isdigit() and len(since) < 12 else 0
        )
        if len(self._monitors) == 1:
            return told
        short = [report.in_short(each.job, each.picture) for each in self._monitors.values()]
        return told[:-1] + b',"jobs":' + orjson.dumps(short) + b"}"

    def metrics(self) -> bytes:
        """Gives all numbers in Prometheus' text format."""
        if len(self._monitors) == 1:
            return self._first.metrics()
        return metrics_of((each.job, each.picture) for each in self._monitors.values())

    def reasons(self) -> list[str]:
        """Gives why not all are ready, each with its job's name where there are several."""
        if len(self._monitors) == 1:
            return self._first.picture.reasons
        return [
            f"{name}: {reason}" for name, each in self._monitors.items() for reason in each.picture.reasons
        ]
