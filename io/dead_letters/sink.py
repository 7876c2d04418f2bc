"""`WriteDeadLetters` keeps what the earlier steps of the chain refused, in the store that a URL names.

A letter holds the event's original bytes, the reason, who refused it, and where it came from. It is stored before
its batch is acknowledged. If it can't be stored, the batch fails and nothing of it is acknowledged. So
a refused event is never lost between the two steps.

- `_letters`: a letter as a JSON line, and back (pure).    - `opening`: a store by its URL, and its letters.
- `file_store`: `file:///path`.    - `stores`: `elasticsearch:index`, `s3://bucket/prefix`, `kinesis:stream`.
- `gathering`: letters of many batches.
"""

import dataclasses
import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Unpack

import apache_beam as beam
from apache_beam.metrics import Metrics

from penstock.io.aws.session import AwsOptions
from penstock.io.chain.live_objects import LiveReceipt
from penstock.io.chain.sinks import borrowed
from penstock.io.dead_letters.gathering import Gatherer
from penstock.io.dead_letters.opening import open_store, place_of
from penstock.io.elasticsearch.options import ElasticsearchOptions
from penstock.io.elements import options_of, takes
from penstock.io.errors import OptionError
from penstock.io.keywords.dead_letters import WriteKeywords
from penstock.io.meters import METERS
from penstock.io.rarely import Rarely
from penstock.transforms.batch import DeadLetter, EventBatch, Receipt
from penstock.transforms.step_kind import StepKind

__all__ = ["WriteDeadLetters"]

_LOGGER = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class _Settings:
    url: str
    elasticsearch: ElasticsearchOptions | None
    aws: AwsOptions | None


@takes(AwsOptions, ElasticsearchOptions)
class WriteDeadLetters(beam.PTransform):
    """Stores what a batch's earlier steps refused, then hands the batch on.

    Args:
        url: `file:///path` (JSON lines, rotated; several processes may share it), `elasticsearch:index`,
            `s3://bucket/prefix` or `kinesis:stream`.
        elasticsearch: the cluster of `elasticsearch:index`; or the same as keywords: `hosts`, `user`, `password`, and every
            other field of `ElasticsearchOptions`. What says how documents are written is the letters' own.
        aws: credentials, region and endpoint of `s3:` and `kinesis:`, and who signs the requests to a cluster of Amazon's;
            or the same as keywords: `region`, and every other field of `AwsOptions`. With neither, they are found as every
            AWS tool finds them.

    Example:
        batches | WriteDeadLetters("elasticsearch:refused", hosts="localhost:9200")

    Raises:
        OptionError: no such kind of store; the options for it are missing, or are those of another kind.

    Delivery guarantee: at least once. A batch that is read again writes its letters again, in Elasticsearch
    over the first ones; elsewhere they stand twice, and `origin` and `id` show that. The letters of a live source's batches
    go to S3 together: those of two seconds, up to 4 MiB, or fewer when the source has little room left. Only
    then the batches are acknowledged.

    Metrics (namespace `dead_letters`): counter `kept`.
    """

    step_kind = StepKind(keeps_letters=True)

    def __init__(
        self,
        url: str,
        *,
        elasticsearch: ElasticsearchOptions | None = None,
        aws: AwsOptions | None = None,
        **arguments: Unpack[WriteKeywords],
    ) -> None:
        super().__init__()
        try:
            scheme, _, _ = place_of(url)
        except OptionError as error:
            message = str(error).replace("--dead_letters", "WriteDeadLetters: url")
            raise OptionError(message) from None
        step = f"WriteDeadLetters to {scheme}"
        if scheme == "elasticsearch":
            if elasticsearch is None and not arguments:
                if aws is not None:  # a job that writes no documents
                    open_store(url, None, aws)  # raises the error that says so
                message = f"{step} needs its hosts, as keywords or as ElasticsearchOptions."
                raise OptionError(message)
            elasticsearch = _cluster_of(step, arguments, elasticsearch, aws)
        elif scheme in ("s3", "kinesis"):
            (aws,) = options_of(step, arguments, {AwsOptions: aws})
        else:
            options_of(step, arguments, {})
        self._settings = _Settings(url, elasticsearch, aws)

    def display_data(self) -> dict[str, Any]:  # noqa: D102
        return {"dead_letters": self._settings.url}

    def expand(self, batches: beam.PCollection) -> beam.PCollection:  # noqa: D102
        return batches | "WriteDeadLetters" >> beam.ParDo(_WriteDeadLettersDoFn(self._settings))


def _cluster_of(
    step: str,
    arguments: Mapping[str, Any],
    cluster: ElasticsearchOptions | None,
    aws: AwsOptions | None,
) -> ElasticsearchOptions:
    """Gives the cluster's options, with who signs the requests to it where somebody does."""
    made: ElasticsearchOptions
    if cluster is None and aws is None:
        made, aws = options_of(step, arguments, {ElasticsearchOptions: None, AwsOptions: None})
    else:
        (made,) = options_of(step, arguments, {ElasticsearchOptions: cluster})
    return made if aws is None else made.signed_by(aws)


class _WriteDeadLettersDoFn(beam.DoFn):
    def __init__(self, settings: _Settings) -> None:
        self._settings = settings
        self._kept = Metrics.counter("dead_letters", "kept")
        self._keeper: _Keeper | None = None
        """Has letters of this bundle that are not stored yet."""

    def process(self, batch: EventBatch) -> Iterator[EventBatch]:
        letters = [letter for letter in batch.dead_letters if not letter.kept]
        if letters:
            settings = self._settings
            with borrowed(f"dead_letters:{settings.url}", lambda: _Keeper(settings)) as keeper:
                receipt = keeper.keep(letters, batch.receipt)
            if receipt is not batch.receipt:
                self._keeper = keeper
                batch = EventBatch(receipt, batch.events, batch.dead_letters, batch.timestamp_ms, batch.size)
            for letter in letters:
                letter.kept = True
            self._kept.inc(len(letters))
        yield batch

    def finish_bundle(self) -> None:
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            with borrowed(f"dead_letters:{self._settings.url}", lambda: keeper):
                keeper.finish()


class _Keeper:
    """Keeps letters in a store, and logs one line per minute about them."""

    def __init__(self, settings: _Settings) -> None:
        self._store = open_store(settings.url, settings.elasticsearch, settings.aws)
        self._rarely = Rarely()
        self._untold: Counter[str] = Counter()
        self._gatherer = Gatherer(self._append) if self._store.gathers else None

    def keep(self, letters: list[DeadLetter], receipt: Receipt) -> Receipt:
        """Stores letters, or takes their batch's receipt until they are stored; gives the one to travel on with."""
        if self._gatherer is None or not isinstance(receipt, LiveReceipt):
            self._append(letters)
            return receipt
        self._gatherer.add(letters, receipt)
        return LiveReceipt(receipt.source, [])

    def finish(self) -> None:
        """Stores what is gathered."""
        if self._gatherer is not None:
            self._gatherer.flush()

    def _append(self, letters: list[DeadLetter]) -> None:
        self._store.append(letters)
        METERS.kept(letters)
        self._untold.update(f"{letter.stage}: {letter.error}" for letter in letters)
        if self._rarely.due():
            kinds = ", ".join(f"{kind} x{count}" for kind, count in self._untold.most_common(5))
            _LOGGER.warning(
                "%d events refused (%s); kept in %s", self._untold.total(), kinds, self._store.where
            )
            self._untold.clear()

    def close(self) -> None:
        if self._gatherer is not None:
            self._gatherer.close()
        self._store.close()
