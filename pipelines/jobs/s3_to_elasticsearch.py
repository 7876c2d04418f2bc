"""`s3-to-elasticsearch` chains ReadFromS3, Decode, WriteToElasticsearch, WriteDeadLetters, FinishUnits, and ends."""

import dataclasses
import functools
import sys
from pathlib import Path
from typing import Any

from penstock.io import archive, dead_letters, elasticsearch, s3
from penstock.io.aws.account_preflight import AwsAccount, identity_trials
from penstock.io.aws.session import AwsOptions
from penstock.io.chain.live_objects import LIVE
from penstock.io.dead_letters import preflight as letters
from penstock.io.errors import OptionError
from penstock.pipelines.command_line import CommandLine
from penstock.pipelines.job_options import BatchJobOptions
from penstock.pipelines.logstash.hints import logstash_hint
from penstock.pipelines.run.chain import Step, connect
from penstock.pipelines.run.job import BatchJob
from penstock.pipelines.run.progress import Workload, duration_text, size_text
from penstock.pipelines.run.requirements import Requirements
from penstock.transforms.codecs.long_records import long_records_of
from penstock.transforms.codecs.options import DecodeOptions
from penstock.transforms.step_kind import WHOLE

__all__ = ["JOB"]

NAME = "s3-to-elasticsearch"
_SHOWN = 20
_PREVIEWED, _PREVIEWED_CHARS = 3, 1000
_ASSUMED_RATE = 50_000


def _requirements(line: CommandLine) -> Requirements:
    """Gives what the job needs of its peers; nothing of AWS where all that it reads and writes is local."""
    source, account = line.get(s3.S3ReadOptions), AwsAccount(line.get(AwsOptions))
    sink, url = (
        line.get(elasticsearch.ElasticsearchOptions),
        line.get(BatchJobOptions).dead_letter_url(NAME),
    )
    places = (*source.input, source.input_manifest or "", source.manifest or "", url)
    remote = bool(sink.signs_for) or any(
        place.startswith(("s3:", "dynamodb:", "kinesis:")) for place in places
    )
    return Requirements(
        [
            *(identity_trials(account) if remote else ()),
            *s3.read_trials(source, account),
            *elasticsearch.trials(sink, account.arns),
            *letters.trials(url, account, sink),
        ],
        account if remote else None,
        None,
        lambda arns, key: (
            *s3.read_statements(source, arns),
            *elasticsearch.iam_statements(sink, arns),
            *letters.keep_statements(url, arns),
        ),
        sink,
        lambda dialect: letters.roles_with(sink, url, dialect),
    )


class _Backfill:
    """The job as `run_batch` and its worker processes need it (see `penstock.pipelines.run.batch.Batch`)."""

    def __init__(self, line: CommandLine) -> None:
        self._line = line
        self._source, self._sink = line.get(s3.S3ReadOptions), line.get(elasticsearch.ElasticsearchOptions)
        if line.get(DecodeOptions).needs_whole_objects:
            self._source = dataclasses.replace(self._source, split_bytes=WHOLE)
        self._aws = line.get(AwsOptions)
        self.options = line.get(BatchJobOptions)
        self._todo = s3.Listed()
        self._finished = s3.Finished()

    @functools.cached_property
    def _stores(self) -> s3.Stores:
        return s3.Stores(self._source, self._aws, LIVE.stopping)

    def prepare(self) -> Workload | None:
        """Lists the objects to read, and tries the peers."""
        source, stores, decode = self._source, self._stores, self._line.get(DecodeOptions)
        if source.format == "json" and long_records_of(decode.decoder()) is None:
            message = f"--format json is for codecs that read JSON; this is --codec {decode.codec}."
            raise OptionError(message)
        if source.manifest:
            manifest = s3.open_manifest(source.manifest, self._aws, look_only=self.options.dry_run)
            self._finished = s3.Finished(manifest.read())
        self._todo = todo = s3.Listed(s3.list_objects(source, stores), self._finished)
        work = Workload(todo.count, todo.bytes, todo.done_before)
        if self.options.dry_run:
            _show(todo, work, source, stores, decode)
            return None
        JOB.require_quick(self._line)
        elasticsearch.prepare(self._sink)
        return work

    def share(self, claims: Path) -> None:
        """Plans the units of work."""
        s3.Claims.write(claims, s3.plan_units(self._todo, self._source, self._stores, self._finished))

    def build(self, pipeline: Any, folder: str, claims: Path | None) -> None:
        """Builds the graph, from the listed objects or from the shared units."""
        from penstock.transforms.decode import decode_step  # with Beam, which no --help needs

        source, sink, job = self._source, self._sink, self.options
        keep = sink.needs_documents or source.include_object_properties
        read = s3.ReadFromS3(
            () if claims else self._todo,
            source,
            self._aws,
            finished=self._finished,
            folder=folder,
            rate=source.max_events_per_second / job.processes,
            layouts=(archive.LAYOUT,),
            decoder=self._line.get(DecodeOptions).decoder,
            claims=str(claims) if claims else None,
        )
        steps: list[Step] = [
            ("ReadFromS3", read),
            ("Decode", decode_step(self._line.get(DecodeOptions), keep_documents=keep)),
        ]
        if source.include_object_properties:
            steps.append(("AddObjectProperties", s3.AddObjectProperties()))
        steps += [
            ("WriteToElasticsearch", elasticsearch.WriteToElasticsearch(sink)),
            (
                "WriteDeadLetters",
                dead_letters.WriteDeadLetters(job.dead_letter_url(NAME), elasticsearch=sink, aws=self._aws),
            ),
            ("FinishUnits", s3.FinishUnits(source.manifest, self._aws, folder)),
        ]
        connect(pipeline, steps)


def _show(
    todo: s3.Listed, work: Workload, source: s3.S3ReadOptions, stores: s3.Stores, decode: DecodeOptions
) -> None:
    """Prints what a dry run shows: the objects, and the estimate."""
    from penstock.io.s3.units.estimate import estimate  # with Beam, which no --help needs

    out = sys.stdout.write
    for each in todo.first[:_SHOWN]:
        out(f"{each.size:>16,}  {each.url}\n")
    if todo.count > _SHOWN:
        out(f"{'...':>16}  and {todo.count - _SHOWN:,} more\n")
    found = estimate(todo, source, stores, (archive.LAYOUT,), decode.decoder)
    out(
        f"objects: {found.objects:,} to read, {work.done_before:,} finished before\nbytes: {size_text(found.bytes)}\n"
    )
    for url, reason in found.odd:
        out(f"not readable: {url}: {reason}\n")
    for url, events in found.firsts:
        documents, reason = decode.preview(events)
        if documents:
            out(f"first events of {url}, as they would be stored:\n")
        if reason:
            out(f"not decodable{' among them' if documents else ''}: {url}: {reason}\n")
        for document in documents[:_PREVIEWED]:
            text = document.decode()
            out(f"    {text[:_PREVIEWED_CHARS]}{' ...' if len(text) > _PREVIEWED_CHARS else ''}\n")
    if found.events is None:
        out("events: not known, no object could be sampled\n")
        return
    rate = source.max_events_per_second or _ASSUMED_RATE
    seconds = max(found.events / rate, found.requests_s)
    out(f"events: about {found.events:,} (from {found.sampled} objects sampled)\n")
    out(f"time: about {duration_text(seconds)} at {rate:,.0f} events per second")
    out(
        f", of which {duration_text(found.requests_s)} are requests\n"
        if found.requests_s > seconds / 2
        else "\n"
    )


JOB = BatchJob(
    name=NAME,
    description=(
        "Backfills objects of S3 (or local files) into Elasticsearch: JSON lines and arrays, plain lines, Parquet and "
        "Avro,\n"
        "compressed or not, and the archive that kinesis-to-s3 writes, with the ids of the live path. It ends by itself."
    ),
    epilog="exit codes: 0 all read, nothing refused; 1 failed, or events refused; 2 wrong options; 3 stopped before the end",
    first=("input", "from", "to", "region", "hosts", "index", "api_key", "manifest", "dry_run", "workers"),
    option_classes=lambda argv: (
        s3.S3ReadOptions,
        DecodeOptions,
        elasticsearch.ElasticsearchOptions,
        AwsOptions,
        BatchJobOptions,
    ),
    requirements=_requirements,
    hint=logstash_hint(("input", "s3"), ("output", "elasticsearch")),
    open_batch=_Backfill,
)
