"""`WriteToElasticsearch` writes batches of decoded events into the index that the options name.

The DoFn is cheap to make. Connections, threads and knowledge of the cluster (`BulkWriter`) belong to the process.
"""

import dataclasses
import hashlib
from collections.abc import Iterator
from typing import Any, Unpack

import apache_beam as beam
from apache_beam.metrics import Metrics

from penstock.io.aws.session import AwsOptions
from penstock.io.chain.live_objects import LIVE
from penstock.io.chain.sinks import borrowed, in_parts, without_refused
from penstock.io.elasticsearch.options import ElasticsearchOptions
from penstock.io.elasticsearch.writer import BulkWriter, Report
from penstock.io.elements import FromElements, IdFunction, WithRefused, as_batches, options_of, takes
from penstock.io.keywords.elasticsearch import WriteKeywords
from penstock.io.options import display_data_of
from penstock.transforms.batch import EventBatch
from penstock.transforms.step_kind import StepKind

__all__ = ["WriteToElasticsearch"]

NAMESPACE = "elasticsearch"


@takes(ElasticsearchOptions)
class WriteToElasticsearch(beam.PTransform):
    """Writes events to Elasticsearch, and gives their batches, with refused events as dead letters.

    Takes `EventBatch`es, or any elements: dicts, rows, and texts, of which one that begins with `{` is read as JSON and any
    other becomes a `message` (see `penstock.io.elements.FromElements`).

    Args:
        options: what to write where, and how; or the same as keywords: `hosts`, `index`, `user`, `password`, and every
            other field of `ElasticsearchOptions`.
        aws: who signs the requests to Amazon's service; without it the standard chain finds the credentials.
        id_fn: gives an element's document id.
        ids: `content` makes the id of the element's content: equal elements become one document. With neither,
            Elasticsearch makes the id of an element, and a bundle that a runner repeats may be stored twice.

    Example:
        pipeline | beam.Create([{"user": "ann"}]) | WriteToElasticsearch(hosts="localhost:9200", index="users")

    Raises:
        OptionError: an argument is unknown, or its value is not allowed.

    Unit of parallelism: the batch. It is cut into bulks that are under way at the same time.

    Delivery guarantee: at least once; exactly once in the index where events have a deterministic id
    (`document_id="auto"`, see `penstock.transforms.identity`) and a repeated event goes to the same index: a 409 on
    create then means a replay. After a restart, every batch that was not acknowledged is repeated.

    Metrics (namespace `elasticsearch`): counters `documents`, `replays`, `refused`, `bulks`, `bytes`,
    `retries_<status>` (`retries_no_answer`); distribution `latency_ms` of a request.
    """

    def __init__(
        self,
        options: ElasticsearchOptions | None = None,
        *,
        aws: AwsOptions | None = None,
        id_fn: IdFunction | None = None,
        ids: str | None = None,
        **arguments: Unpack[WriteKeywords],
    ) -> None:
        super().__init__()
        (options,) = options_of("WriteToElasticsearch", arguments, {ElasticsearchOptions: options})
        self._options = options if aws is None else options.signed_by(aws)
        self._elements = FromElements(id_fn=id_fn, ids=ids, stamped=options.writes_data_stream)
        self.step_kind = StepKind(refuses=True, needs_ids=options.document_id == "auto")

    def display_data(self) -> dict[str, Any]:  # noqa: D102
        return display_data_of(self._options)

    def with_exception_handling(
        self, *, main_tag: str = "good", dead_letter_tag: str = "bad"
    ) -> beam.PTransform:
        """Gives the same step with two outputs: the batches, and what was refused, as `penstock.io.elements.Refused`."""
        return WithRefused(self, main_tag, dead_letter_tag)

    def expand(self, collection: beam.PCollection) -> beam.PCollection:  # noqa: D102
        batches = as_batches(self, collection, self._elements)
        return batches | "WriteToElasticsearch" >> beam.ParDo(_WriteDoFn(self._options))


class _WriteDoFn(beam.DoFn):
    def __init__(self, options: ElasticsearchOptions) -> None:
        self._options = options
        self._key = _key(options)
        self._documents = Metrics.counter(NAMESPACE, "documents")
        self._replays = Metrics.counter(NAMESPACE, "replays")
        self._refused = Metrics.counter(NAMESPACE, "refused")
        self._bulks = Metrics.counter(NAMESPACE, "bulks")
        self._bytes = Metrics.counter(NAMESPACE, "bytes")
        self._latency = Metrics.distribution(NAMESPACE, "latency_ms")

    def process(self, batch: EventBatch) -> Iterator[EventBatch]:
        if not batch.events:
            yield batch
            return
        options = self._options
        with borrowed(self._key, lambda: BulkWriter(options, LIVE.stopping)) as writer:
            reports, letters = in_parts(batch.events, writer.write, NAMESPACE, LIVE.stopping)
        if letters:
            self._refused.inc(len(letters))
        for report in reports:
            self._count(report)
            letters += report.letters
        yield without_refused(batch, letters)

    def _count(self, report: Report) -> None:
        self._documents.inc(report.written)
        self._bulks.inc(report.bulks)
        self._bytes.inc(report.bytes)
        if report.replayed:
            self._replays.inc(report.replayed)
        if report.letters:
            self._refused.inc(len(report.letters))
        for status, count in report.retries.items():
            Metrics.counter(NAMESPACE, f"retries_{status}").inc(count)
        for milliseconds in report.latencies_ms:
            self._latency.update(milliseconds)


def _key(options: ElasticsearchOptions) -> str:
    """Gives a key that is equal for equal options, secrets included, and does not show them."""
    return f"{NAMESPACE}:{hashlib.sha256(repr(dataclasses.asdict(options)).encode()).hexdigest()[:16]}"
