"""`graph_objects` reads the objects of an input `s3`: those that are there when the graph is built, once."""

import dataclasses
from typing import Any

import apache_beam as beam

from penstock.io import archive, s3
from penstock.io.aws.session import AwsOptions
from penstock.io.chain.live_objects import LIVE
from penstock.io.options import display_data_of
from penstock.pipelines.logstash.plan import Input
from penstock.transforms.codecs.options import DecodeOptions
from penstock.transforms.step_kind import WHOLE

__all__ = ["ReadObjectsOnce"]


class ReadObjectsOnce(beam.PTransform):
    """Lists the objects of an input and reads those that its manifest does not call finished.

    Args:
        given: the input.
    """

    def __init__(self, given: Input) -> None:
        super().__init__("ReadFromS3")
        self._options = given.options
        self._aws = given.aws or AwsOptions()
        self._decode = given.decode or DecodeOptions()
        if self._decode.needs_whole_objects:
            self._options = dataclasses.replace(self._options, split_bytes=WHOLE)

    def display_data(self) -> dict[str, Any]:  # noqa: D102
        return display_data_of(self._options, self._aws)

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:  # noqa: D102
        options, aws = self._options, self._aws
        stores = s3.Stores(options, aws, LIVE.stopping)
        finished = s3.Finished()
        if options.manifest:
            finished = s3.Finished(s3.open_manifest(options.manifest, aws).read())
        objects = (each for each in s3.list_objects(options, stores) if not finished.whole(each))
        return begin | "ReadFromS3" >> s3.ReadFromS3(
            s3.Listed(objects),
            options,
            aws,
            finished=finished,
            rate=options.max_events_per_second,
            layouts=(archive.LAYOUT,),
            decoder=self._decode.decoder,
        )
