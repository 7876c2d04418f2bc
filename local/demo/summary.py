"""`summary` writes what a person reads at the end: plain text, good at 80 columns."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from local.demo.evidence import Arrival, StreamCount

__all__ = ["Report", "chart", "newest", "render"]

WIDTH = 78
BAR_WIDTH = 48
CHART_ROWS = 15
EIGHTHS = " ▏▎▍▌▋▊▉█"


@dataclasses.dataclass(frozen=True)
class Report:
    """All that is told.

    Attributes:
        shipper: who shipped the lines, `filebeat` or our own client.
        files: how many files they came from.
        lines: lines shipped.
        acknowledged: of them, as the shipper counts; None when it didn't tell.
        resent: events that were sent again, None likewise.
        stream: what is in Kinesis; None when it could not be read.
        arrival: documents held against lines.
        dead_letters: events that were set aside.
        seconds: from the first line shipped to the last document found.
        documents: the newest ones, newest first.
        minutes: buckets of the aggregation: (key in ms, count), oldest first.
        seconds_chart: likewise by the second, when all came within a few minutes; else empty.
    """

    shipper: str
    files: int
    lines: int
    acknowledged: int | None
    resent: int | None
    stream: StreamCount
    arrival: Arrival
    dead_letters: int
    seconds: float
    documents: Sequence[dict[str, Any]]
    minutes: Sequence[tuple[int, int]]
    seconds_chart: Sequence[tuple[int, int]]

    @property
    def exactly_once(self) -> bool:
        """Whether every line shipped is in Elasticsearch, once."""
        return self.arrival.exactly_once and not self.dead_letters


def render(report: Report, *, utf8: bool = True) -> str:
    """The summary, ending with a newline."""
    arrival, stream = report.arrival, report.stream
    shipped_by = f"from {_files(report.files)}, by {report.shipper}"
    acknowledged = "not told" if report.acknowledged is None else f"{report.acknowledged:,}"
    resent = f"{report.resent:,} sent again" if report.resent else ""
    per_record = stream.events / stream.records if stream.records else 0.0
    # Rates of a run that takes a second or two say little; still, a person wants one.
    rate = report.lines / max(report.seconds, 0.001)
    rows = [
        ("lines shipped", f"{report.lines:,}", shipped_by),
        ("acknowledged", acknowledged, resent),
        ("Kinesis records", f"{stream.records:,}", f"{stream.aggregated:,} of them aggregated"),
        ("events in them", f"{stream.events:,}", f"{per_record:,.0f} a record"),
        ("documents in Elasticsearch", f"{arrival.documents:,}", ""),
        ("lines missing", f"{arrival.missing:,}", ""),
        ("duplicates", f"{arrival.duplicates:,}", ""),
        ("dead letters", f"{report.dead_letters:,}", ""),
        ("events per second", f"{rate:,.0f}", f"first line to last document: {report.seconds:.1f} s"),
    ]
    if arrival.strangers:
        rows.insert(5, ("of lines written meanwhile", f"{arrival.strangers:,}", ""))
    rule = ("─" if utf8 else "-") * WIDTH
    lines = ["", rule]
    lines += [f"  {name:<27}{value:>10}   {note}".rstrip() for name, value, note in rows]
    lines += ["", "  The newest three documents", *newest(report.documents, utf8=utf8)]
    lines += ["", "  Events per minute, as Elasticsearch counts them by @timestamp (UTC)"]
    lines += chart(report.minutes, 60, utf8=utf8)
    if report.seconds_chart:
        lines += ["", "  and per second", *chart(report.seconds_chart, 1, utf8=utf8)]
    lines += [rule, _verdict(report), ""]
    return "\n".join(lines)


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"


def _verdict(report: Report) -> str:
    if report.exactly_once:
        return "  Every line shipped is in Elasticsearch exactly once."
    arrival = report.arrival
    problems = [
        (arrival.missing, "missing"),
        (arrival.duplicates, "stored twice"),
        (report.dead_letters, "refused"),
    ]
    told = ", ".join(f"{count:,} {what}" for count, what in problems if count)
    examples = "".join(f"\n    {each}" for each in arrival.examples)
    return f"  NOT every line is in Elasticsearch exactly once: {told}.{examples}"


def newest(documents: Sequence[dict[str, Any]], *, utf8: bool = True) -> list[str]:
    """Two lines a document: where its line stood, and what it says."""
    lines = []
    for document in documents:
        log = document.get("log", {})
        place = f"{log.get('file', {}).get('path', '?')}:{log.get('offset', '?')}"
        lines.append(f"    {document.get('@timestamp', '?')}  {place}")
        message = "".join(c if c.isprintable() else " " for c in str(document.get("message", "")))
        shown = message if utf8 else message.encode("ascii", "replace").decode()
        room = WIDTH - 6
        lines.append(f"      {shown[: room - 3] + '...' if len(shown) > room else shown}")
    return lines


def chart(buckets: Sequence[tuple[int, int]], interval_s: int, *, utf8: bool = True) -> list[str]:
    """One bar a bucket, the newest `CHART_ROWS` of them; the longest bar is the fullest bucket."""
    shown = buckets[-CHART_ROWS:]
    top = max((count for _, count in shown), default=0)
    lines = []
    if len(buckets) > len(shown):
        earlier = sum(count for _, count in buckets[: -len(shown)])
        lines.append(f"    {'earlier':<8} {earlier:>9,}")
    for key, count in shown:
        minutes, seconds = divmod(key // 1000 % 86400, 60)
        clock = f"{minutes // 60:02}:{minutes % 60:02}" + (f":{seconds:02}" if interval_s % 60 else "")
        lines.append(f"    {clock:<8} {count:>9,}  {_bar(count, top, utf8)}".rstrip())
    return lines


def _bar(count: int, top: int, utf8: bool) -> str:
    """A bar in eighths of a column where the terminal can draw them; never empty when there is something."""
    if not count:
        return ""
    eighths = max(1, round(count / top * BAR_WIDTH * 8))
    if not utf8:
        return "#" * max(1, eighths // 8)
    return "█" * (eighths // 8) + EIGHTHS[eighths % 8].strip()
