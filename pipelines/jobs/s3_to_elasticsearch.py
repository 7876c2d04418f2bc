"""Job `s3-to-elasticsearch`: ReadFromS3 -> Decode -> WriteToElasticsearch -> WriteDeadLetters -> FinishUnits, a batch."""

import functools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from penstock.io import elasticsearch, s3
from penstock.io.aws.account_preflight import AwsAccount, identity_trials
from penstock.io.aws.session import AwsOptions
from penstock.io.chain.live_objects import LIVE
from penstock.io.dead_letters import WriteDeadLetters
from penstock.io.dead_letters import preflight as letters
from penstock.io.preflight.trials import require_quick
from penstock.io.s3.estimate import estimate
from penstock.pipelines.command_line import CommandLine, parse
from penstock.pipelines.console.progress import Workload, duration_text, size_text
from penstock.pipelines.jobs.kinesis_to_elasticsearch import DecodeOptions
from penstock.pipelines.run.batch import BatchJobOptions, run_batch
from penstock.pipelines.run.job_preflight import Needs
from penstock.transforms.decode import JsonDecoder, PlainDecoder

__all__ = ["main", "needs", "open_batch", "option_classes"]

NAME = "s3-to-elasticsearch"
DESCRIPTION = (
    "Backfills objects of S3 (or local files) into Elasticsearch: JSON lines and arrays, plain lines, Parquet and Avro,\n"
    "compressed or not, and the archive that kinesis-to-s3 writes, with the ids of the live path. It ends by itself."
)
EPILOG = "exit codes: 0 all read, nothing refused; 1 failed, or events refused; 2 wrong options; 3 stopped before the end"
_SHOWN = 20
_ASSUMED_RATE = 50_000


def option_classes(argv: Sequence[str] | None = None) -> tuple[type, ...]:
    """The options of the job, by component."""
    return (
        s3.S3ReadOptions,
        DecodeOptions,
        elasticsearch.ElasticsearchOptions,
        AwsOptions,
        BatchJobOptions,
    )


def needs(line: CommandLine) -> Needs:
    """What the job needs of its peers; of AWS nothing where all that it reads and writes is local."""
    source, account = line.get(s3.S3ReadOptions), AwsAccount(line.get(AwsOptions))
    sink, url = (
        line.get(elasticsearch.ElasticsearchOptions),
        line.get(BatchJobOptions).dead_letter_url(NAME),
    )
    places = (*source.input, source.input_manifest or "", source.manifest or "", url)
    remote = any(place.startswith(("s3:", "dynamodb:", "kinesis:")) for place in places)
    return Needs(
        [
            *(identity_trials(account) if remote else ()),
            *s3.read_trials(source, account),
            *elasticsearch.trials(sink),
            *letters.trials(url, account, sink),
        ],
        account if remote else None,
        None,
        lambda arns, key: (*s3.read_statements(source, arns), *letters.keep_statements(url, arns)),
        letters.roles_with(sink, url),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; returns its exit code (see `EPILOG`)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    batch, beam_arguments = open_batch(arguments)
    return run_batch(NAME, batch, beam_arguments, arguments)


def open_batch(argv: Sequence[str]) -> "tuple[Backfill, list[str]]":
    """The job of a command line, and what is left for Beam's options."""
    line = parse(f"penstock {NAME}", DESCRIPTION, option_classes(), argv, EPILOG)
    return Backfill(line), line.beam


class Backfill:
    """The job as `run_batch` and its worker processes need it (see `batch_job.Batch`)."""

    def __init__(self, line: CommandLine) -> None:
        self._line = line
        self._source, self._sink = line.get(s3.S3ReadOptions), line.get(elasticsearch.ElasticsearchOptions)
        self._aws = line.get(AwsOptions)
        self.options = line.get(BatchJobOptions)
        self._todo: list[s3.S3Object] = []
        self._finished = s3.Finished()

    @functools.cached_property
    def _stores(self) -> s3.Stores:
        return s3.Stores(self._source, self._aws, LIVE.stopping)

    def prepare(self) -> Workload | None:
        """Lists what is to be read, and looks at the peers."""
        source, stores = self._source, self._stores
        listed = s3.list_objects(source, stores)
        if source.manifest:
            manifest = s3.open_manifest(source.manifest, self._aws, look_only=self.options.dry_run)
            self._finished = s3.Finished(manifest.read())
        self._todo = todo = [each for each in listed if not self._finished.whole(each)]
        work = Workload(len(todo), sum(each.size for each in todo), len(listed) - len(todo))
        if self.options.dry_run:
            _show(todo, work, source, stores)
            return None
        require_quick(needs(self._line).trials)
        elasticsearch.prepare(self._sink)
        return work

    def share(self, claims: Path) -> None:
        """Plans the units of work."""
        s3.Claims.write(claims, s3.plan_units(self._todo, self._source, self._stores, self._finished))

    def build(self, pipeline: Any, folder: str, claims: Path | None) -> None:
        """The graph, from the objects that were listed, or from the units that are shared."""
        source, sink, job = self._source, self._sink, self.options
        plain = self._line.get(DecodeOptions).codec == "plain"
        keep = sink.needs_documents or source.include_object_properties
        decoder = PlainDecoder("utf-8") if plain else JsonDecoder(keep_documents=keep)
        batches = (
            pipeline
            | "ReadFromS3"
            >> s3.ReadFromS3(
                () if claims else self._todo,
                source,
                self._aws,
                finished=self._finished,
                folder=folder,
                rate=source.max_events_per_second / job.workers,
                claims=str(claims) if claims else None,
            )
            | "Decode" >> s3.Decode(decoder)
        )
        if source.include_object_properties:
            batches = batches | "AddObjectProperties" >> s3.AddObjectProperties()
        url = job.dead_letter_url(NAME)
        _ = (
            batches
            | "WriteToElasticsearch" >> elasticsearch.WriteToElasticsearch(sink)
            | "WriteDeadLetters" >> WriteDeadLetters(url, elasticsearch=sink, aws=self._aws)
            | "FinishUnits" >> s3.FinishUnits(source.manifest, self._aws, folder)
        )


def _show(todo: list[s3.S3Object], work: Workload, source: s3.S3ReadOptions, stores: s3.Stores) -> None:
    """What a dry run prints: the objects, and what they come to."""
    out = sys.stdout.write
    for each in todo[:_SHOWN]:
        out(f"{each.size:>16,}  {each.url}\n")
    if len(todo) > _SHOWN:
        out(f"{'...':>16}  and {len(todo) - _SHOWN:,} more\n")
    found = estimate(todo, source, stores)
    out(
        f"objects: {found.objects:,} to read, {work.done_before:,} finished before\nbytes: {size_text(found.bytes)}\n"
    )
    if found.events is None:
        out("events: not known, no object could be sampled\n")
        return
    rate = source.max_events_per_second or _ASSUMED_RATE
    out(f"events: about {found.events:,} (from {found.sampled} objects sampled)\n")
    out(f"time: about {duration_text(found.events / rate)} at {rate:,.0f} events a second\n")


if __name__ == "__main__":
    sys.exit(main())
