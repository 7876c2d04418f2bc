"""`FinishUnits`: the end of a backfill's chain, which notes what is finished.

A batch names the units of work that end in it. Once it has come through the sink and the dead letters, they are in
the manifest; whoever is killed before reads them again.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics

from penstock.io.aws.session import AwsOptions
from penstock.io.chain.live_objects import LIVE
from penstock.io.errors import PenstockError
from penstock.io.s3.units.manifest import Manifest, is_last_part, open_manifest
from penstock.io.s3.units.tally import Tally
from penstock.transforms.batch import EventBatch

__all__ = ["FinishUnits", "name_units"]

_SOURCE = "s3 "


def name_units(units: Sequence[tuple[str, str]]) -> str:
    """What a batch has for its source: the units that end in it, each an id and a URL."""
    return _SOURCE + json.dumps(units)


class FinishUnits(beam.PTransform):
    """The last step of a backfill: counts what was delivered, and notes the units that are finished.

    Args:
        manifest: the URL of the manifest; None for none.
        aws: who we are, for it.
        folder: where progress is told.
    """

    def __init__(self, manifest: str | None, aws: AwsOptions, folder: str = "") -> None:
        super().__init__()
        self._manifest = manifest
        self._aws = aws
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
        units = json.loads(batch.source.removeprefix(_SOURCE))
        try:
            if url and units:
                manifest: Manifest = LIVE.share(f"s3 manifest {url}", lambda: open_manifest(url, aws))
                for identity, where in units:
                    manifest.add(identity, where)
        except PenstockError as error:
            LIVE.fail(error)
            raise
        self._delivered.inc(len(batch.events))
        if batch.dead_letters:
            self._refused.inc(len(batch.dead_letters))
        tally.add(
            delivered=len(batch.events),
            refused=len(batch.dead_letters),
            units=len(units),
            objects=sum(is_last_part(identity) for identity, _ in units),
        )
        return iter(())
