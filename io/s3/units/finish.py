"""`FinishUnits` ends a backfill's chain, and notes what is finished.

A batch's receipt names the units of work that end in it. When the batch has passed the sink and the dead letters,
they are noted in the manifest. After a kill before that, they are read again.
"""

from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import msgspec
from apache_beam.metrics import Metrics

from penstock.io.aws.session import AwsOptions
from penstock.io.chain.live_objects import LIVE
from penstock.io.chain.sinks import borrowed
from penstock.io.errors import DeliveryError
from penstock.io.s3.units.manifest import Manifest, is_last_part, open_manifest
from penstock.io.s3.units.tally import Tally
from penstock.transforms.batch import EventBatch
from penstock.transforms.step_kind import StepKind

__all__ = ["FinishUnits", "UnitsReceipt"]


class UnitsReceipt(msgspec.Struct, gc=False):
    """Names the units of work that end in a batch.

    Attributes:
        units: id and object's URL of each unit.
    """

    units: list[tuple[str, str]]

    def acknowledge(self) -> None:
        """Raises `DeliveryError`: only `FinishUnits` knows where units are noted."""
        message = "a backfill's batch reached Acknowledge. End a chain that begins with ReadFromS3 with FinishUnits."
        raise DeliveryError(message)

    def note_in(self, manifest: Manifest) -> None:
        """Notes the units as finished. Raises `PenstockError` when that fails."""
        for identity, url in self.units:
            manifest.add(identity, url)


class FinishUnits(beam.PTransform):
    """The last step of a backfill: counts what was delivered, and notes the units that are finished.

    Args:
        manifest: the URL of the manifest; None for none.
        aws: who we are, for a manifest in S3; found as every AWS tool finds it unless given.
        folder: where progress is written.
    """

    step_kind = StepKind(acknowledges="units")

    def __init__(self, manifest: str | None = None, aws: AwsOptions | None = None, folder: str = "") -> None:
        super().__init__()
        self._manifest = manifest
        self._aws = aws or AwsOptions()
        self._folder = folder

    def display_data(self) -> dict[str, Any]:  # noqa: D102
        return {"manifest": self._manifest} if self._manifest else {}

    def expand(self, batches: beam.PCollection) -> beam.PCollection:  # noqa: D102
        return batches | "FinishUnits" >> beam.ParDo(_FinishDoFn(self._manifest, self._aws, self._folder))


class _FinishDoFn(beam.DoFn):
    def __init__(self, manifest: str | None, aws: AwsOptions, folder: str) -> None:
        self._url = manifest
        self._aws = aws
        self._folder = folder
        self._delivered = Metrics.counter("s3", "delivered")
        self._refused = Metrics.counter("s3", "refused")

    def process(self, batch: EventBatch) -> Iterator[None]:
        folder, url, aws = self._folder, self._url, self._aws
        tally: Tally = LIVE.share(f"s3 tally {folder}", lambda: Tally(folder))
        receipt = batch.receipt
        if not isinstance(receipt, UnitsReceipt):
            message = "a batch that was not read from S3 reached FinishUnits. End its chain with Acknowledge."
            raise DeliveryError(message)
        if url and receipt.units:
            with borrowed(f"s3 manifest {url}", lambda: open_manifest(url, aws)) as manifest:
                receipt.note_in(manifest)
        self._delivered.inc(len(batch.events))
        if batch.dead_letters:
            self._refused.inc(len(batch.dead_letters))
        tally.add(
            delivered=len(batch.events),
            refused=len(batch.dead_letters),
            units=len(receipt.units),
            objects=sum(is_last_part(identity) for identity, _ in receipt.units),
        )
        return iter(())
