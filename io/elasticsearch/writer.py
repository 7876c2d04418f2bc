"""`BulkWriter` writes one batch in bulks, several at the same time, and returns when it knows what became of every document.

Problem. Elasticsearch may accept, refuse, defer or lose any part of a bulk, or all of it. No document may be
lost, and none that is refused for good may hold up the others.

Plan. The writer works in rounds. A round sends its bulks at the same time and gathers all replies. Documents that
may work later, and bulks without a reply, form the next round after a wait (exponential, with jitter); a bulk that
was too large (413), that Elasticsearch could not read (400), or that something in between denies (403) goes again at
once in two halves, down to the one document that is to blame. The write ends when every document is written, or
refused with a reason.

Invariants.
- Nothing is given up because of time, with two exceptions: an index that refuses every document
  (`_blocked`), and a stop: after `stop_timeout` the batch fails, unacknowledged.
- Only failed documents are sent again, and those without a reply; the id makes that harmless.
- The log has the first retry, and then at most one line per minute; the same for refusals of one kind.
"""

import concurrent.futures
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from json.encoder import encode_basestring_ascii as quote
from typing import Any

from penstock.io.backoff import delays
from penstock.io.elasticsearch._dialects import ELASTICSEARCH, SERVERLESS, dialect_of, misfit, plugin_denies
from penstock.io.elasticsearch.bulk import _bulk
from penstock.io.elasticsearch.bulk._actions import DocumentMaker
from penstock.io.elasticsearch.bulk._blocked import WHOLE, Blocked, Verdict, way_out
from penstock.io.elasticsearch.bulk._bulk import BadReply, Bulk
from penstock.io.elasticsearch.bulk._judging import STAGE, Outcome, Policy, judge, refused, without_overtaken
from penstock.io.elasticsearch.bulk._reasons import reason_of, sentences, shortened, without_values
from penstock.io.elasticsearch.bulk._rounds import Refusing, Reply, Round, Sender
from penstock.io.elasticsearch.cluster.client import (
    Client,
    NoAnswer,
    cause_in,
    decoded,
    explain,
    is_amazons,
    reason_in,
    role_to_paste,
)
from penstock.io.elasticsearch.options import ElasticsearchOptions
from penstock.io.elasticsearch.report import REQUEST, Report
from penstock.io.errors import PeerError, StopTimeout
from penstock.io.meters import METERS
from penstock.io.rarely import Rarely
from penstock.transforms.batch import DeadLetter, Event
from penstock.transforms.reference import compile_reference

__all__ = ["BulkWriter", "Report"]

_LOGGER = logging.getLogger(__name__)
_STARTING_S = 60.0
_MAX_DENIED_IN_A_ROW = 32  # bulks that may be halved; more would be a storm of small ones
_MIN_BULK_BYTES = 64 << 10


class BulkWriter:
    """Writes batches to one cluster; shared by all DoFn instances of a process.

    Args:
        options: the options of the sink.
        stopping: set when the job is to stop.
        client: sends the bulks; by default one made from the options.
        clock: monotonic seconds.
        sleep: waits on a stop, when the event no longer can.
    """

    def __init__(
        self,
        options: ElasticsearchOptions,
        stopping: threading.Event,
        client: Sender | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._options = options
        self._stopping = stopping
        self._client: Sender = client or Client(options)
        self._clock = clock
        self._sleep = sleep
        self._dialect = ELASTICSEARCH
        self._maker: DocumentMaker | None = None
        self._policy = Policy(
            own_ids=options.document_id in ("auto", "none"),  # what we have made, of the event or at random
            versioned=options.version_type not in (None, "internal"),
            dead_letter_codes=frozenset(options.dlq_custom_codes),
        )
        self._max_bytes = options.bulk_max_bytes
        self._pool = concurrent.futures.ThreadPoolExecutor(options.max_bulks_in_flight, "elasticsearch-bulk")
        self._rarely = Rarely(clock=clock)
        varies = compile_reference(options.target).constant is None
        self._blocked = Blocked(options.blocked_index_timeout, varies, clock)
        self._denied_in_a_row = 0
        self._denied_at = clock()
        self._stop_deadline: float | None = None
        self._worked = False
        self._refused_since: float | None = None

    def close(self) -> None:
        """Waits for requests under way, and closes the connections."""
        self._pool.shutdown()
        self._client.close()

    def write(self, events: list[Event]) -> Report:
        """Writes `events`. When it returns, each is in Elasticsearch or has a letter in the report.

        Raises:
            AccessDenied: credentials or privileges don't suffice.
            PeerError: the peer isn't an Elasticsearch that takes bulks.
            StopTimeout: the job stops, and Elasticsearch didn't accept everything in time.
        """
        report = Report()
        maker = self._maker or self._meet(len(events), report)
        bulks = self._bulks(maker, events, report)
        waits = delays(self._options.retry_initial_interval, self._options.retry_max_interval)
        while bulks:
            next_round = Round()
            for bulk, reply in zip(bulks, self._send(bulks, report), strict=True):
                self._settle(bulk, reply, report, next_round)
            self._settle_blocked(report, next_round)
            bulks = next_round.at_once + next_round.later
            if next_round.later:
                wait = min(next(waits), self._blocked.patience())
                self._wait(wait, sum(len(bulk.events) for bulk in bulks))
        if report.letters:
            self._log_refusals(report)
        report.count()
        return report

    def _meet(self, documents: int, report: Report) -> DocumentMaker:
        """Asks which server this is, until it answers: what a document looks like depends on it."""
        options, dialect = self._options, SERVERLESS if self._options.serverless else None
        waits = delays(options.retry_initial_interval, options.retry_max_interval)
        while dialect is None:
            try:
                status, reply = self._client.root()
                kind, why = str(status), f"status {status}"
            except NoAnswer as error:
                status, reply, kind, why = 503, None, "no_answer", str(error)
            if status == 401 or is_amazons(status, reply, options):
                raise self._explained(status, reply)
            if _later(status):
                report.retried([kind] * documents)
                self._log(f"which server this is: {why}")
                self._wait(next(waits), documents)
            else:
                dialect = dialect_of(status, reply) or ELASTICSEARCH
        self._dialect = dialect
        self._client.speak(dialect)
        self._maker = DocumentMaker(options, dialect)
        return self._maker

    def _bulks(self, maker: DocumentMaker, events: list[Event], report: Report) -> list[Bulk]:
        """Makes all bulks. Events that can't become a document get a letter."""
        max_count, max_bytes = self._options.bulk_max_count, self._max_bytes
        try:
            return maker.bulks(events, max_count, max_bytes)
        except (ValueError, TypeError):
            pass  # the slower way finds the event
        made: list[Event] = []
        documents: list[bytes] = []
        for event in events:
            try:
                documents.append(maker.document(event))
            except (ValueError, TypeError) as error:
                reason = shortened(str(error))
                report.letters.append(DeadLetter(event, type(error).__name__, reason, STAGE))
            else:
                made.append(event)
        return _bulk.cut(made, documents, max_count, max_bytes)

    def _send(self, bulks: list[Bulk], report: Report) -> Iterable[Reply]:
        alone = len(bulks) == 1  # a single bulk needs no thread
        replies = [self._post(bulks[0])] if alone else list(self._pool.map(self._post, bulks))
        report.bulks += len(bulks)
        for reply in replies:
            report.bytes += reply.size
            report.latencies_ms.append(reply.latency_ms)
        return replies

    def _post(self, bulk: Bulk) -> Reply:
        bulk.attempts += 1
        body = bulk.body
        started = self._clock()
        try:
            status, reply = self._client.bulk(body)
            failure = ""
        except NoAnswer as error:
            status, reply, failure = 0, b"", str(error)
        seconds = self._clock() - started
        METERS.requested(REQUEST, seconds, len(body))
        return Reply(status, reply, failure, len(body), int(seconds * 1000))

    def _settle(self, bulk: Bulk, reply: Reply, report: Report, next_round: Round) -> None:
        """Sorts a bulk's documents into the report, or into the next round."""
        status = reply.status
        if 200 <= status < 300:
            try:
                items = _bulk.read_reply(reply.body, len(bulk.events))
            except BadReply as error:
                self._postpone(bulk, "bad_reply", f"{self._client.where}: {error}", report, next_round)
                return
            self._refused_since = None
            self._worked = True
            self._denied_in_a_row = 0
            if items is None:
                report.written += len(bulk.events)
                self._accepted(bulk)
            else:
                self._judge(bulk, items, report, next_round)
        elif not status:
            self._postpone(bulk, "no_answer", reply.failure, report, next_round)
        elif _later(status) or self._restarts(status):
            self._postpone(bulk, str(status), f"status {status}", report, next_round)
        elif status in (400, 413):
            self._halve(bulk, reply, report, next_round)
        elif status == 403:
            self._denied(bulk, reply, next_round)
        else:
            raise self._explained(status, decoded(reply.body))

    def _restarts(self, status: int) -> bool:
        """Whether a 401 may be that of a node that has not read its users yet, as after a restart.

        Credentials that have worked before are trusted for a minute.
        """
        if status != 401 or not self._worked:
            return False
        now = self._clock()
        if self._refused_since is None:
            self._refused_since = now
        return now < self._refused_since + _STARTING_S

    def _accepted(self, bulk: Bulk) -> None:
        """Takes note that all documents were written: the first one's index accepts, and so do refusing ones among them."""
        self._blocked.accepted(_bulk.index_of(bulk.body))
        for index in self._blocked.refusing[:_MAX_DENIED_IN_A_ROW]:
            if index and f'"_index":{quote(index)}'.encode() in bulk.body:
                self._blocked.accepted(index)

    def _judge(self, bulk: Bulk, items: list[_bulk.Item], report: Report, next_round: Round) -> None:
        again: list[int] = []
        refusing: dict[str, Refusing] = {}
        accepted: set[str] = set()
        documents = bulk.documents()
        if not self._dialect.ordered:
            items = _bulk.in_order(items, documents)
        for position, (item, document) in enumerate(zip(items, documents, strict=True)):
            outcome = judge(item, document, self._policy)
            if outcome is Outcome.WRITTEN or outcome is Outcome.REPLAYED:
                if outcome is Outcome.WRITTEN:
                    report.written += 1
                else:
                    report.replayed += 1
                if not accepted or self._blocked.refusing or refusing:
                    accepted.add(_bulk.index_of(document))
            elif outcome is Outcome.RETRY:
                again.append(position)
            elif outcome is Outcome.REFUSED:
                if item.error is not None and misfit(item.error.reason):
                    raise self._explained(item.status, {"error": reason_of(item.error)})
                report.letters.append(refused(bulk, position, item))
            else:
                index = _bulk.index_of(document)
                found = refusing.setdefault(index, Refusing(index, item, outcome is Outcome.DENIED, []))
                found.positions.append(position)
        for index in accepted:
            self._blocked.accepted(index)
        if again and not self._policy.own_ids:
            count = len(again)
            again = without_overtaken(again, items, documents)
            report.written += count - len(again)
        if again:
            report.retried(items[position].status for position in again)
            first = items[again[0]]
            self._log(
                f"{len(again)} documents: status {first.status} ({without_values(reason_of(first.error))})"
            )
        if again or refusing:
            next_round.partly.append((bulk, again, list(refusing.values())))

    def _settle_blocked(self, report: Report, next_round: Round) -> None:
        """Decides on the documents of indices that refuse everything, when all answers of the round are known."""
        for bulk, again, refusing in next_round.partly:
            positions = list(again)
            for found in refusing:
                index, item = found.index, found.item
                verdict = self._blocked.refused(index, item.error, denied=found.denied)
                if verdict is Verdict.END:
                    reason = {"error": reason_of(item.error)}
                    raise self._explained(item.status, reason, f"{self._options.action} documents in {index}")
                hint = way_out(index, item.error)
                if verdict is Verdict.GIVE_UP:
                    letters = [refused(bulk, each, item, hint) for each in found.positions]
                    report.ways_out[letters[0].reason] = hint
                    report.letters += letters
                    continue
                positions += found.positions
                report.retried([item.status] * len(found.positions))
                text = f"{len(found.positions)} documents of {index or 'any index'}"
                why = without_values(reason_of(item.error))
                hint = role_to_paste(self._options, self._dialect) if plugin_denies(why) else hint
                self._log(
                    sentences(f"{text}: {why}", self._blocked.how_long(verdict), hint), f"blocked {index}"
                )
            if positions:
                next_round.later.append(bulk.only(sorted(positions)))

    def _denied(self, bulk: Bulk, reply: Reply, next_round: Round) -> None:
        """Handles a bulk that is denied as a whole, perhaps by a proxy that refuses one of its documents."""
        now = self._clock()
        if now > self._denied_at + 2 * self._options.blocked_index_timeout + _STARTING_S:
            self._blocked.forget(WHOLE)
        self._denied_at = now
        error = decoded(reply.body)
        cause = cause_in(error)
        cause.type = cause.type or "denied"
        if self._blocked.refused(WHOLE, cause, denied=True) is Verdict.END:
            raise self._explained(reply.status, error)
        if len(bulk.events) > 1 and self._denied_in_a_row < _MAX_DENIED_IN_A_ROW:
            self._denied_in_a_row += 1
            next_round.at_once += bulk.halves()
            return
        item = _bulk.Item(reply.status, cause)
        every = list(range(len(bulk.events)))
        next_round.partly.append((bulk, [], [Refusing(WHOLE, item, True, every)]))

    def _postpone(self, bulk: Bulk, kind: str, why: str, report: Report, next_round: Round) -> None:
        report.retried([kind] * len(bulk.events))
        self._log(f"a bulk of {len(bulk.events)} documents: {why}")
        next_round.later.append(bulk)

    def _halve(self, bulk: Bulk, reply: Reply, report: Report, next_round: Round) -> None:
        error = decoded(reply.body)
        if misfit(reason_in(error)):
            raise self._explained(reply.status, error)
        if reply.status == 413 and len(bulk.events) > 1 and reply.size // 2 < self._max_bytes:
            self._max_bytes = max(reply.size // 2, _MIN_BULK_BYTES)
            _LOGGER.warning(
                "%s takes no bulk of %d bytes (413); bulks are smaller from now on. Lower --bulk_max_bytes or raise "
                "http.max_content_length.", self._client.where, reply.size,
            )  # fmt: skip
        if len(bulk.events) > 1:
            next_round.at_once += bulk.halves()
            return
        cause = cause_in(error)
        if reply.status == 413:
            cause.type = cause.type or "content_too_large"
            cause.reason = cause.reason or f"{reply.size} bytes are more than the server takes"
        cause.reason = cause.reason or "bad request"
        report.letters.append(refused(bulk, 0, _bulk.Item(reply.status, cause)))

    def _explained(self, status: int, reply: Any, doing: str = "") -> PeerError:
        doing = doing or f"write to {self._dialect.product}"
        return explain(status, reply, self._options, self._client.where, doing, self._dialect)

    def _wait(self, seconds: float, documents: int) -> None:
        """Waits before the next round. After a stop, it waits no longer than `stop_timeout` in all."""
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
            raise StopTimeout(message)
        self._sleep(min(1.0, seconds, self._stop_deadline - now))

    def _log(self, text: str, kind: str = "retry") -> None:
        """Logs one line, then none of that kind for a minute."""
        if self._rarely.due(kind):
            name = self._dialect.product
            _LOGGER.warning("%s at %s: trying again: %s", name, self._client.where, text)

    def _log_refusals(self, report: Report) -> None:
        letters = report.letters
        silenced = self._options.silence_errors_in_log
        counts = Counter(letter.error for letter in letters if letter.error not in silenced)
        for kind in [kind for kind in counts if self._rarely.due(f"refused {kind}")][:10]:
            first = next(letter for letter in letters if letter.error == kind)
            hint = report.ways_out.get(first.reason, "")  # our own words, so nothing in them is a value
            reason = without_values(first.reason.removesuffix(sentences(hint)))
            _LOGGER.warning(
                "%s at %s refuses %d documents (%s, status %s), first _id %s: %s",
                self._dialect.product, self._client.where, counts[kind], kind, first.status, first.event.id,
                sentences(reason, "They go to the dead letters", hint),
            )  # fmt: skip


def _later(status: int) -> bool:
    return status in (408, 429) or status >= 500
