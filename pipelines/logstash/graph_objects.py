"""`graph_objects` reads the objects of an input `s3`: those that are there at the start, once, as a batch job does."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from penstock.io import archive, s3
from penstock.io.aws.session import AwsOptions
from penstock.io.chain.live_objects import LIVE
from penstock.pipelines.job_options import BatchJobOptions
from penstock.pipelines.logstash import graph
from penstock.pipelines.logstash.plan import Plan
from penstock.pipelines.run.chain import connect
from penstock.pipelines.run.progress import Workload
from penstock.transforms.step_kind import WHOLE

__all__ = ["ObjectsOnce"]


class ObjectsOnce:
    """The pipeline of an input `s3` as `run_batch` calls it (see `penstock.pipelines.run.batch.Batch`).

    Args:
        plan: what the configuration became.
        options: how a batch job runs.
        dead_letters: the URL of the store for refused events.
        ready: tries and prepares the peers, and gives the plan as they want it.
    """

    def __init__(
        self, plan: Plan, options: BatchJobOptions, dead_letters: str, ready: Callable[[], Plan]
    ) -> None:
        self.options = options
        self._plan = plan
        self._dead_letters = dead_letters
        self._ready = ready
        given = plan.inputs[0]
        self._decode = graph.decoder_of(given)
        self._read_options = given.options
        if self._decode.needs_whole_objects:
            self._read_options = dataclasses.replace(given.options, split_bytes=WHOLE)
        self._aws = given.aws or AwsOptions()
        self._todo = s3.Listed()
        self._finished = s3.Finished()

    def prepare(self) -> Workload:
        """Tries the peers, and lists the objects that the manifest does not call finished."""
        self._plan = self._ready()
        options = self._read_options
        if options.manifest:
            self._finished = s3.Finished(s3.open_manifest(options.manifest, self._aws).read())
        found = s3.list_objects(options, s3.Stores(options, self._aws, LIVE.stopping))
        self._todo = todo = s3.Listed(found, self._finished)
        return Workload(todo.count, todo.bytes, todo.done_before)

    def share(self, claims: Path) -> None:
        """Plans the units of work."""
        options = self._read_options
        stores = s3.Stores(options, self._aws, LIVE.stopping)
        s3.Claims.write(claims, s3.plan_units(self._todo, options, stores, self._finished))

    def build(self, pipeline: Any, folder: str, claims: Path | None) -> None:
        """Builds the graph, from the listed objects or from the shared units."""
        options = self._read_options
        read = s3.ReadFromS3(
            () if claims else self._todo,
            options,
            self._aws,
            finished=self._finished,
            folder=folder,
            rate=options.max_events_per_second,
            layouts=(archive.LAYOUT,),
            decoder=self._decode.decoder,
            claims=str(claims) if claims else None,
        )
        connect(pipeline, graph.build(self._plan, self._dead_letters, graph.Objects(read, folder)))
