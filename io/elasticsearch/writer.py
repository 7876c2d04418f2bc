"""`BulkWriter` writes one batch in bulks, several at the same time, and returns when it knows what became of every document.

Problem. Elasticsearch may accept, refuse, defer or lose any part of a bulk, and the whole of it; nothing may be
lost, nothing that it refuses for good may hold up the rest.

Plan. Rounds. A round sends its bulks at the same time and gathers all replies. Documents that may work later, and
bulks without a reply, form the next round after a wait (exponential, with jitter); a bulk that was too large
(413), or that Elasticsearch could not read (400), goes again at once in two halves, down to the one document that
is to blame, which is refused. It ends when every document is written, or refused with a reason.

Invariants.
- Nothing is given up because of time, except on a stop: then after `stop_timeout` the batch fails, unacknowledged.
- Only what failed is sent again. What had no reply is sent again too: its id makes that harmless.
- Log lines: the first retry, then at most one a minute; the first refusal of each kind, likewise.
"""

import concurrent.futures
import dataclasses
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol

import orjson

from penstock.io.backoff import delays
from penstock.io.elasticsearch.bulk import _bulk
from penstock.io.elasticsearch.bulk._actions import DocumentMaker
from penstock.io.elasticsearch.bulk._bulk import BadReply, Bulk, Outcome
from penstock.io.elasticsearch.cluster.client import Client, NoAnswer, explain
from penstock.io.elasticsearch.options import ElasticsearchOptions
from penstock.io.errors import DeliveryError, PeerError
from penstock.io.meters import METERS
from penstock.transforms.batch import DeadLetter, Event

__all__ = ["BulkWriter", "Report"]

_LOGGER = logging.getLogger(__name__)
_STAGE = "elasticsearch"
_REQUEST = "elasticsearch_bulk"
_DOCUMENTS = METERS.counter(
    "penstock_elasticsearch_documents_total",
    "Documents by what became of them: written, there_already (a replay), refused.",
    "outcome",
)
_LOG_EVERY_S = 60.0
_STARTING_S = 60.0
_MIN_BULK_BYTES = 64 << 10


class _Sender(Protocol):
    where: str

    def bulk(self, body: bytes) -> tuple[int, bytes]: ...

    def close(self) -> None: ...


@dataclasses.dataclass
class Report:
    """What became of a batch's events.

    Attributes:
        letters: the refused ones.
        written: documents written in this call.
        replayed: documents that were there already.
        bulks: requests sent.
        bytes: bytes of their bodies, before compression.
        retries: documents sent again, by status (`no_answer`: there was none).
        latencies_ms: how long each request took.
    """

    letters: list[DeadLetter] = dataclasses.field(default_factory=list)
    written: int = 0
    replayed: int = 0
    bulks: int = 0
    bytes: int = 0
    retries: Counter[str] = dataclasses.field(default_factory=Counter)
    latencies_ms: list[int] = dataclasses.field(default_factory=list)


class BulkWriter:
    """Writes batches to one cluster; shared by all DoFn instances of a process.

    Args:
        options: see there.
        stopping: set when the job is to stop.
        client: sends the bulks; by default one made from the options.
        clock: monotonic seconds.
        sleep: waits on a stop, when the event no longer can.
    """

    def __init__(
        self,
        options: ElasticsearchOptions,
        stopping: threading.Event,
        client: _Sender | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._options = options
        self._stopping = stopping
        self._client: _Sender = client or Client(options)
        self._clock = clock
        self._sleep = sleep
        self._maker = DocumentMaker(options)
        self._policy = _bulk.Policy(
            own_ids=options.document_id == "auto",
            versioned=options.version_type not in (None, "internal"),
            dead_letter_codes=frozenset(options.dlq_custom_codes),
        )
        self._max_bytes = options.bulk_max_bytes
        self._pool = concurrent.futures.ThreadPoolExecutor(options.max_bulks_in_flight, "elasticsearch-bulk")
        self._silent_until: dict[str, float] = {}
        self._stop_deadline: float | None = None
        self._worked = False
        self._refused_since: float | None = None

    def close(self) -> None:
        """Waits for what is under way and closes the connections."""
        self._pool.shutdown()
        self._client.close()

    def write(self, events: list[Event]) -> Report:
        """Writes `events`; when it returns, each is in Elasticsearch or has a letter in the report.

        Raises:
            AccessDenied: credentials or privileges don't suffice.
            PeerError: what answers isn't an Elasticsearch that takes bulks.
            DeliveryError: the job stops, and Elasticsearch didn't accept everything in time.
        """
        report = Report()
        bulks = self._bulks(events, report)
        waits = delays(self._options.retry_initial_interval, self._options.retry_max_interval)
        while bulks:
            at_once: list[Bulk] = []
            later: list[Bulk] = []
            for bulk, reply in zip(bulks, self._send(bulks, report), strict=True):
                self._settle(bulk, reply, report, at_once, later)
            bulks = at_once + later
            if later:
                self._wait(next(waits), sum(len(bulk.events) for bulk in bulks))
        if report.letters:
            self._log_refusals(report.letters)
        _DOCUMENTS.of("written").add(report.written)
        _DOCUMENTS.of("there_already").add(report.replayed)
        _DOCUMENTS.of("refused").add(len(report.letters))
        return report

    def _bulks(self, events: list[Event], report: Report) -> list[Bulk]:
        """All documents; events that none can be made of get their letter."""
        max_count, max_bytes = self._options.bulk_max_count, self._max_bytes
        try:
            return self._maker.bulks(events, max_count, max_bytes)
        except (ValueError, TypeError):
            pass  # the slower way tells of which event
        made: list[Event] = []
        documents: list[bytes] = []
        for event in events:
            try:
                documents.append(self._maker.document(event))
            except (ValueError, TypeError) as error:
                reason = str(error)[: _bulk.MAX_REASON]
                report.letters.append(DeadLetter(event, type(error).__name__, reason, _STAGE))
            else:
                made.append(event)
        return _bulk.cut(made, documents, max_count, max_bytes)

    def _send(self, bulks: list[Bulk], report: Report) -> Iterable["_Reply"]:
        alone = len(bulks) == 1  # a trickle's bulk needs no thread
        replies = [self._post(bulks[0])] if alone else list(self._pool.map(self._post, bulks))
        report.bulks += len(bulks)
        for reply in replies:
            report.bytes += reply.size
            report.latencies_ms.append(reply.latency_ms)
        return replies

    def _post(self, bulk: Bulk) -> "_Reply":
        bulk.attempts += 1
        body = bulk.body
        started = self._clock()
        try:
            status, reply = self._client.bulk(body)
            failure = ""
        except NoAnswer as error:
            status, reply, failure = 0, b"", str(error)
        seconds = self._clock() - started
        METERS.requested(_REQUEST, seconds, len(body))
        return _Reply(status, reply, failure, len(body), int(seconds * 1000))

    def _settle(
        self, bulk: Bulk, reply: "_Reply", report: Report, at_once: list[Bulk], later: list[Bulk]
    ) -> None:
        """Sorts a bulk's documents into the report, or into the next round."""
        status = reply.status
        if 200 <= status < 300:
            try:
                items = _bulk.read_reply(reply.body, len(bulk.events))
            except BadReply as error:
                self._postpone(bulk, "bad_reply", f"{self._client.where}: {error}", report, later)
                return
            self._refused_since = None
            self._worked = True
            if items is None:
                report.written += len(bulk.events)
            else:
                self._judge(bulk, items, report, later)
        elif not status:
            self._postpone(bulk, "no_answer", reply.failure, report, later)
        elif status == 408 or status == 429 or status >= 500 or self._restarts(status):
            self._postpone(bulk, str(status), f"status {status}", report, later)
        elif status in (400, 413):
            self._halve(bulk, reply, report, at_once)
        else:
            raise explain(
                status, _parsed(reply.body), self._options, self._client.where, "write to Elasticsearch"
            )

    def _restarts(self, status: int) -> bool:
        """Whether a 401 may be that of a node that has not read its users yet, as after a restart.

        Credentials that have worked before are believed in for a minute.
        """
        if status != 401 or not self._worked:
            return False
        now = self._clock()
        if self._refused_since is None:
            self._refused_since = now
        return now < self._refused_since + _STARTING_S

    def _judge(self, bulk: Bulk, items: list[_bulk.Item], report: Report, later: list[Bulk]) -> None:
        again: list[int] = []
        for position, (item, document) in enumerate(zip(items, bulk.documents(), strict=True)):
            outcome = _bulk.judge(item, document, self._policy)
            if outcome is Outcome.WRITTEN:
                report.written += 1
            elif outcome is Outcome.REPLAYED:
                report.replayed += 1
            elif outcome is Outcome.RETRY:
                again.append(position)
                report.retries[str(item.status)] += 1
                METERS.retried(_REQUEST, str(item.status))
            elif outcome is Outcome.REFUSED:
                error = item.error or _bulk.Cause("refused")
                report.letters.append(
                    _refusal(bulk, position, item.status, error.type, _bulk.reason_of(error))
                )
            else:
                raise self._denied(item)
        if again:
            first = items[again[0]]
            self._log(
                "retry",
                f"{len(again)} documents: status {first.status} ({_bulk.reason_of(first.error)[:200]})",
            )
            later.append(bulk.only(again))

    def _postpone(self, bulk: Bulk, kind: str, why: str, report: Report, later: list[Bulk]) -> None:
        report.retries[kind] += len(bulk.events)
        METERS.retried(_REQUEST, kind, len(bulk.events))
        self._log("retry", f"a bulk of {len(bulk.events)} documents: {why}")
        later.append(bulk)

    def _halve(self, bulk: Bulk, reply: "_Reply", report: Report, at_once: list[Bulk]) -> None:
        if reply.status == 413 and len(bulk.events) > 1 and reply.size // 2 < self._max_bytes:
            self._max_bytes = max(reply.size // 2, _MIN_BULK_BYTES)
            _LOGGER.warning(
                "%s takes no bulk of %d bytes (413); bulks are smaller from now on. Lower --bulk_max_bytes or raise "
                "http.max_content_length.", self._client.where, reply.size,
            )  # fmt: skip
        if len(bulk.events) > 1:
            at_once += bulk.halves()
            return
        error = _parsed(reply.body)
        cause = error.get("error") if isinstance(error, dict) else None
        name = cause.get("type") if isinstance(cause, dict) else None
        reason = cause.get("reason") if isinstance(cause, dict) else None
        if reply.status == 413:
            name, reason = (
                name or "content_too_large",
                reason or f"{reply.size} bytes are more than the server takes",
            )
        report.letters.append(_refusal(bulk, 0, reply.status, str(name or ""), str(reason or "bad request")))

    def _denied(self, item: _bulk.Item) -> PeerError:
        doing = f"{self._options.action} documents in {self._options.target}"
        reason = {"error": _bulk.reason_of(item.error)}
        return explain(item.status, reason, self._options, self._client.where, doing)

    def _wait(self, seconds: float, documents: int) -> None:
        """Waits before the next round; on a stop, no longer than `stop_timeout` in all."""
        if not self._stopping.wait(seconds):
            return
        now = self._clock()
        if self._stop_deadline is None:
            self._stop_deadline = now + self._options.stop_timeout
        if now >= self._stop_deadline:
            message = (
                f"{documents} documents were not accepted by Elasticsearch at {self._client.where} within "
                f"{self._options.stop_timeout:g} s of the stop. They are not acknowledged and come again."
            )
            raise DeliveryError(message)
        self._sleep(min(1.0, seconds, self._stop_deadline - now))

    def _log(self, kind: str, text: str) -> None:
        """One line, then none of that kind for a minute."""
        now = self._clock()
        if now >= self._silent_until.get(kind, now):
            if len(self._silent_until) > 1000:
                self._silent_until.clear()
            self._silent_until[kind] = now + _LOG_EVERY_S
            _LOGGER.warning("Elasticsearch at %s: trying again: %s", self._client.where, text)

    def _log_refusals(self, letters: list[DeadLetter]) -> None:
        silenced = self._options.silence_errors_in_log
        counts = Counter(letter.error for letter in letters if letter.error not in silenced)
        now = self._clock()
        kinds = [kind for kind in counts if now >= self._silent_until.get(f"refused {kind}", now)]
        for kind in kinds[:10]:
            self._silent_until[f"refused {kind}"] = now + _LOG_EVERY_S
            first = next(letter for letter in letters if letter.error == kind)
            _LOGGER.warning(
                "Elasticsearch at %s refuses %d documents (%s, status %s), first _id %s. They go to the dead letters.",
                self._client.where, counts[kind], kind, first.status, first.event.id,
            )  # fmt: skip


class _Reply(NamedTuple):
    """What came back for one bulk: HTTP status (0: no reply, then `failure` says why) and body."""

    status: int
    body: bytes
    failure: str
    size: int
    latency_ms: int


def _refusal(bulk: Bulk, position: int, status: int, error: str, reason: str) -> DeadLetter:
    event = bulk.events[position]
    return DeadLetter(event, error or "refused", reason[: _bulk.MAX_REASON], _STAGE, status, bulk.attempts)


def _parsed(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return body[:500].decode(errors="replace")
