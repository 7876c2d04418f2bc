"""`replay-dead-letters` sends refused events again, from their store to Elasticsearch or Kinesis.

This job does not use Beam: letters are few, and a plain loop can say at its end what became of each. An event that is
sent again has its first bytes, id and date, so one that is in the index already is a replay. The letters stay where they
are. An event that is refused again goes to another store, with the new reason.
"""

import argparse
import dataclasses
import sys
from collections.abc import Iterable, Iterator, Sequence

from penstock.io import elasticsearch, kinesis
from penstock.io.aws.account_preflight import AwsAccount, identity_trials
from penstock.io.aws.session import AwsOptions
from penstock.io.chain.live_objects import LIVE
from penstock.io.dead_letters import (
    LetterReader,
    default_store_url,
    has_event,
    open_store,
    require_store_url,
)
from penstock.io.dead_letters import preflight as store_needs
from penstock.io.elasticsearch import ElasticsearchOptions
from penstock.io.elasticsearch.writer import BulkWriter
from penstock.io.errors import OptionError
from penstock.io.kinesis.write.routing import PartitionKeys
from penstock.io.kinesis.write.writer import KinesisWriter
from penstock.io.options import option
from penstock.pipelines.command_line import CommandLine
from penstock.pipelines.console.logs import LogOptions, set_up_logging
from penstock.pipelines.logstash.hints import logstash_hint
from penstock.pipelines.run.job import Job
from penstock.pipelines.run.replaying import STOPPED, Counts, Later, Send, replay_all, without_pieces
from penstock.pipelines.run.requirements import Requirements
from penstock.transforms.batch import DeadLetter, Event
from penstock.transforms.codecs.options import DecodeOptions
from penstock.transforms.document import document_of
from penstock.transforms.logstash import ConfigError
from penstock.transforms.logstash.settings import FilterOptions
from penstock.transforms.time import timestamps

__all__ = ["JOB"]

NAME = "replay-dead-letters"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReplayOptions(LogOptions):
    """Which events are sent again, and where to."""

    dead_letters: str = option(
        help="The store: file:///path, elasticsearch:index, s3://bucket/prefix or kinesis:stream."
    )
    to: str = option("elasticsearch", help="Where to send the events.", choices=("elasticsearch", "kinesis"))
    refused_again: str = option(
        "",
        help="Store for events that are refused again. Without it, dead_letters/replay-dead-letters.jsonl where it runs.",
    )
    errors: list[str] = option([], help="Only letters of these errors, such as document_parsing_exception.")

    def __post_init__(self) -> None:
        require_store_url(self.dead_letters)
        require_store_url(self.again)
        if self.dead_letters == self.again:
            message = "--refused_again must be another store than --dead_letters, else letters just written would be read."
            raise OptionError(message)

    @property
    def again(self) -> str:
        """The URL of the store for events that are refused again."""
        return self.refused_again or default_store_url(NAME)


def _option_classes(argv: Sequence[str]) -> tuple[type, ...]:
    """Gives the option classes, with those of the sink that `--to` names."""
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    early.add_argument("--to")
    if early.parse_known_args(argv)[0].to == "kinesis":
        return (ReplayOptions, FilterOptions, kinesis.KinesisWriteOptions, AwsOptions)
    return (ReplayOptions, FilterOptions, ElasticsearchOptions, DecodeOptions, AwsOptions)


def _requirements(line: CommandLine) -> Requirements:
    """Gives what the replay needs of its peers; nothing of AWS where letters and sink are elsewhere."""
    options, account = line.get(ReplayOptions), AwsAccount(line.get(AwsOptions))
    stream = line.options.get(kinesis.KinesisWriteOptions)
    cluster = line.options.get(ElasticsearchOptions)
    signs = cluster is not None and bool(cluster.signs_for)
    remote = (
        stream is not None
        or signs
        or any(url.startswith(("s3:", "kinesis:")) for url in (options.dead_letters, options.again))
    )
    sink = (
        kinesis.write_trials(stream, account)
        if stream
        else elasticsearch.trials(line.get(ElasticsearchOptions), account.arns)
    )
    return Requirements(
        [
            *(identity_trials(account) if remote else ()),
            *store_needs.replay_trials(options.dead_letters, account, cluster),
            *sink,
            *store_needs.trials(options.again, account, cluster, "--refused_again"),
        ],
        account if remote else None,
        stream.stream_name if stream and "%{" not in stream.stream_name else None,
        lambda arns, key: (
            *store_needs.replay_statements(options.dead_letters, arns),
            *(kinesis.write_statements(stream, arns, key) if stream else ()),
            *(elasticsearch.iam_statements(cluster, arns) if cluster else ()),
            *store_needs.keep_statements(options.again, arns),
        ),
        cluster,
        lambda dialect: (
            store_needs.replay_roles(options.dead_letters, cluster, options.again, dialect) if cluster else ()
        ),
    )


def _chosen(letters: Iterable[DeadLetter], errors: list[str], counts: Counts) -> Iterator[DeadLetter]:
    for letter in letters:
        if errors and letter.error not in errors:
            continue
        if has_event(letter):
            yield letter
        else:
            counts.without_event += 1


class _Filters:
    """Runs the filters that letters name; a letter whose filters are missing ends the replay before it is sent."""

    def __init__(self, options: FilterOptions) -> None:
        from penstock.transforms.logstash.beam import RunFilters  # with Beam, which no --help needs

        try:
            step = options.step
            self._run = None if step is None else RunFilters(step)
        except (ConfigError, OSError, UnicodeDecodeError) as error:
            message = f"--filters {options.filters}: {error}"
            raise OptionError(message) from None

    def check(self, events: list[Event]) -> None:
        """Raises `OptionError` where an event's filters are not those of `--filters`."""
        known = None if self._run is None else self._run.name
        for event in events:
            if event.filters is not None and event.filters != known:
                message = (
                    f"a letter's event passed filters ({event.filters}) "
                    + (
                        f"other than those of --filters ({known}). "
                        if known
                        else "and --filters isn't given. "
                    )
                    + "Give the configuration that the job had, and its settings; unfiltered it would be another document. "
                    "Filters made in Python replay only in Python (docs/filters.md)."
                )
                raise OptionError(message)

    def apply(
        self, events: list[Event], marked: set[tuple[int, int]]
    ) -> tuple[list[Event], list[DeadLetter]]:
        """Gives the events, of which those at the places of `marked` have passed the filters."""
        if self._run is None or not marked:
            return events, []
        from penstock.transforms.events import apply  # likewise

        kept, letters = [], []
        for event in events:
            if (id(event.origin), event.index) not in marked:
                kept.append(event)
                continue
            event.filters = None  # they pass the filters again, from their bytes
            made, refused, _ = apply(self._run, [event], "logstash_filters")
            kept += made
            letters += refused
        return kept, letters


def _places(events: list[Event]) -> set[tuple[int, int]]:
    """Gives the places of events whose letters name filters. Decoding makes new events in the same places."""
    return {(id(event.origin), event.index) for event in events if event.filters is not None}


def _is_known(event: Event, keep_documents: bool) -> bool:
    """Whether the event was decoded before it was refused; then it keeps its id, and only its time is read again."""
    if event.id is None or event.filters is not None:
        return False
    try:
        document = document_of(event)
    except ValueError:
        return False
    event.timestamp = timestamps.of_value(document.get("@timestamp"))
    event.document = document if keep_documents else None
    return True


def _to_elasticsearch(line: CommandLine) -> Send:
    options = line.get(ElasticsearchOptions)
    elasticsearch.prepare(options)
    writer: BulkWriter = LIVE.share(f"{NAME}:elasticsearch", lambda: BulkWriter(options, LIVE.stopping))
    filters = _Filters(line.get(FilterOptions))
    return sender(line.get(DecodeOptions), filters, writer, keep_documents=options.needs_documents)


def sender(decode: DecodeOptions, filters: _Filters, writer: BulkWriter, *, keep_documents: bool) -> Send:
    """Makes the function that decodes events, unless they were decoded before they were refused, and writes them."""
    decoder, stamp = decode.decoder(keep_documents=keep_documents), decode.stamper()

    def send(letters: list[DeadLetter]) -> list[DeadLetter]:
        events = [letter.event for letter in letters]
        filters.check(events)
        marked = _places(events)
        changed = [event for event in events if event.changed]  # as another step has made it
        known = [event for event in events if not event.changed and _is_known(event, keep_documents)]
        taken = set(map(id, changed + known))
        decoded, undecoded = decoder.decode([event for event in events if id(event) not in taken])
        decoded += known
        stamp(decoded)
        filtered, refused = filters.apply(decoded, marked)
        return undecoded + refused + writer.write(changed + filtered).letters

    return without_pieces(send, copied=bool(decode.expand_copy))


def _to_kinesis(line: CommandLine) -> Send:
    options, aws = line.get(kinesis.KinesisWriteOptions), line.get(AwsOptions)
    keys = PartitionKeys(
        options.event_partition_keys,
        randomized=options.randomized_partition_key,
        prefix=options.partition_key_prefix,
    )
    writer: KinesisWriter = LIVE.share(f"{NAME}:kinesis", lambda: KinesisWriter(options, aws))
    return stream_sender(_Filters(line.get(FilterOptions)), writer, keys)


def stream_sender(filters: _Filters, writer: KinesisWriter, keys: PartitionKeys) -> Send:
    """Makes the function that puts events into a stream."""

    def send(letters: list[DeadLetter]) -> list[DeadLetter]:
        events = [letter.event for letter in letters]
        filters.check(events)
        for letter in letters:
            # What a step had made of it belongs into a stream where the stream refused it; else the bytes, as they came.
            if letter.stage != "kinesis":
                letter.event.document, letter.event.changed = None, False
        filtered, refused = filters.apply(events, _places(events))
        return refused + writer.write(filtered, keys, 0.0)[0]

    return send


class _Replay(Job):
    def run(self, line: CommandLine, argv: Sequence[str]) -> int:
        """Runs the replay; returns its exit code (see `epilog`)."""
        from penstock.pipelines.run.lifecycle import Watch, report  # with Beam, which no --help needs

        options = line.get(ReplayOptions)
        to_kinesis = kinesis.KinesisWriteOptions in line.options
        set_up_logging(options)
        watch = Watch(NAME, 30.0, too_late=STOPPED)
        try:
            self.require_quick(line)
            aws = line.get(AwsOptions)
            cluster = None if to_kinesis else line.get(ElasticsearchOptions)
            send = _to_kinesis(line) if to_kinesis else _to_elasticsearch(line)
            source, again = (
                open_store(options.dead_letters, cluster, aws),
                Later(options.again, cluster, aws),
            )
            watch.start()
            reader, counts = LetterReader(source), Counts()
            replay_all(_chosen(reader, options.errors, counts), send, again, counts)
            stopped = LIVE.stopping.is_set()
            LIVE.close()
        except BaseException as error:
            return report(NAME, error, too_late=STOPPED)
        finally:
            watch.end()
        sys.stdout.write(counts.text(options.again, reader.wrong))
        if stopped:
            return STOPPED
        return 1 if counts.refused or counts.without_event or reader.wrong else 0


JOB = _Replay(
    name=NAME,
    description=(
        "Sends refused events again, with the bytes and the id they had: to Elasticsearch (decoded again), or with\n"
        "--to kinesis to a stream. The letters stay in their store; events that are refused again go to --refused_again."
    ),
    epilog="exit codes: 0 all accepted; 1 failed, or some refused again or left out; 2 wrong options; 3 stopped too early",
    first=(
        "dead_letters",
        "to",
        "errors",
        "refused_again",
        "hosts",
        "index",
        "api_key",
        "stream_name",
        "region",
        "filters",
    ),
    option_classes=_option_classes,
    requirements=_requirements,
    hint=logstash_hint(("output", "elasticsearch"), ("output", "kinesis")),
)
