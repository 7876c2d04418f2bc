"""`graph` builds the chain of a plan: read, decode, filters and conditions, outputs, dead letters, acknowledge.

It is one line of steps, the same on every runner. Several inputs are one read, which takes a batch of each in turn. Several
outputs follow each other: each writes its share of a batch, and the batch is acknowledged behind the last.

- One input and one output without a condition make the very steps of the jobs `beats-to-kinesis` and
  `kinesis-to-elasticsearch`.
- Events are decoded where an output needs ids, times or documents, or a filter or a condition reads them; otherwise bytes
  pass unread.
"""

from typing import Any, NamedTuple

import apache_beam as beam

from penstock.io import beats, elasticsearch, files, kinesis, s3
from penstock.io.aws.session import AwsOptions
from penstock.io.beats.source import key_of as beats_key
from penstock.io.chain.read_all import ReadFromAll
from penstock.io.chain.sinks import OneOutput
from penstock.io.dead_letters import WriteDeadLetters
from penstock.io.errors import OptionError
from penstock.io.kinesis.read.source import key_of as kinesis_key
from penstock.pipelines.logstash.plan import (
    FileInput,
    FileOutput,
    Input,
    Output,
    Plan,
    StdinInput,
    StdoutOutput,
    TextCodec,
)
from penstock.pipelines.run.chain import Step, live_chain, require_time_to_send
from penstock.transforms.codecs.lines._multiline import Multiline
from penstock.transforms.codecs.options import DecodeOptions
from penstock.transforms.decode import decode_by_source, decode_step
from penstock.transforms.logstash.routes import FilterAndRoute, Route
from penstock.transforms.reference import compile_reference

__all__ = [
    "Objects",
    "build",
    "decoder_of",
    "decodes",
    "keeps_documents",
    "key_of",
    "peers_of",
    "routes_of",
    "sink_of",
]

_TEXTS = ("plain", "lines")
_UNREAD = ("kinesis", "null")
"""Outputs that take bytes as they come: an id, a time or a document changes nothing for them."""


class Objects(NamedTuple):
    """The read of an input `s3`, and the folder where the last step notes its progress."""

    read: s3.ReadFromS3
    folder: str


def build(plan: Plan, dead_letters: str, objects: Objects | None = None) -> list[Step]:
    """Gives the steps of a plan.

    Args:
        plan: what the configuration became.
        dead_letters: the URL of the store for refused events.
        objects: of an input `s3`, its read; None: it reads nothing yet.

    Raises:
        OptionError: two options contradict each other.
    """
    _require_time_to_send(plan)
    _require_objects_alone(plan)
    cluster, aws = peers_of(plan)
    first = plan.inputs[0]
    aws_of_objects = first.aws or AwsOptions()
    if first.plugin == "s3" and objects is None:
        objects = Objects(s3.ReadFromS3((), first.options, aws_of_objects), "")
    read = _read(plan) if objects is None else ("ReadFromS3", objects.read)
    steps: list[Step] = [read, *_decode(plan)]
    for plugin, label, step in (
        ("s3", "AddObjectProperties", s3.AddObjectProperties),
        ("kinesis", "AddRecordProperties", kinesis.AddRecordProperties),
    ):
        if any(each.plugin == plugin and each.properties for each in plan.inputs):
            steps.append((label, step()))
    steps += _filters(plan)
    alone = len(plan.outputs) == 1 and plan.outputs[0].condition is None
    for number, output in enumerate(plan.outputs):
        sink = sink_of(output)
        label = sink.default_label()
        if alone:
            steps.append((label, sink))
        else:
            steps.append((f"{label} {output.name}".replace("/", "_"), OneOutput(sink, number, output.name)))
    chain = live_chain(*steps, dead_letters=WriteDeadLetters(dead_letters, elasticsearch=cluster, aws=aws))
    if objects is not None:
        chain[-1] = (
            "FinishUnits",
            s3.FinishUnits(first.options.manifest, aws_of_objects, objects.folder),
        )
    return chain


def peers_of(plan: Plan) -> tuple[elasticsearch.ElasticsearchOptions | None, AwsOptions | None]:
    """Gives the first cluster and the first AWS account that a plan names, for its store of dead letters."""
    clusters = [each.options for each in plan.outputs if each.plugin == "elasticsearch"]
    accounts = [each.aws for each in plan.outputs] + [each.aws for each in plan.inputs]
    return next(iter(clusters), None), next(filter(None, accounts), None)


def key_of(given: Input) -> str:
    """Gives the key of an input's live source, without a split's number."""
    if given.plugin == "beats":
        return beats_key(given.options)
    if given.plugin == "kinesis":
        return kinesis_key(given.options)
    return f"{given.plugin}:{given.name}"


def routes_of(plan: Plan) -> list[Route]:
    """Gives the outputs with their conditions, in order."""
    return [Route(each.name, each.condition, each.places, dict(each.env)) for each in plan.outputs]


def decodes(plan: Plan, given: Input) -> bool:
    """Whether the events of an input are decoded in a step of their own."""
    return given.decode is not None or any(each.plugin not in _UNREAD for each in plan.outputs)


def decoder_of(given: Input) -> DecodeOptions:
    """Gives how the records of an input become events, as they come from its read."""
    decode = given.decode or DecodeOptions()
    if isinstance(given.options, FileInput | StdinInput) and decode.codec in _TEXTS:
        return DecodeOptions(timestamp_field=decode.timestamp_field)
    return decode


def keeps_documents(plan: Plan) -> bool:
    """Whether an output reads decoded events, so that keeping them saves work."""
    return any(_reads_document(each) for each in plan.outputs)


def sink_of(output: Output) -> beam.PTransform:
    """Gives the sink of an output."""
    options = output.options
    if output.plugin == "kinesis":
        return kinesis.WriteToKinesis(options, output.aws)
    if output.plugin == "elasticsearch":
        return elasticsearch.WriteToElasticsearch(options)
    if isinstance(options, FileOutput):
        return files.WriteToFiles(
            options.path, compress=options.gzip, append=options.append, **_text(options.codec)
        )
    if isinstance(options, StdoutOutput):
        return files.WriteToStdout(**_text(options.codec))
    return files.WriteNowhere()


def _text(codec: TextCodec) -> dict[str, Any]:
    return {
        "codec": codec.name,
        "line_format": codec.format,
        "delimiter": codec.delimiter,
        "metadata": codec.metadata,
    }


def _read(plan: Plan) -> Step:
    reads = [_read_of(each) for each in plan.inputs]
    if len(reads) == 1:
        return reads[0].default_label(), reads[0]
    return "ReadFromAll", ReadFromAll(reads)


def _read_of(given: Input) -> beam.PTransform:
    if given.plugin == "beats":
        return beats.ReadFromBeats(given.options)
    if given.plugin == "kinesis":
        return kinesis.ReadFromKinesis(given.options, given.aws)
    return _lines(given, given.options)


def _lines(given: Input, options: FileInput | StdinInput) -> beam.PTransform:
    """Gives the read of lines. It makes a text the `message` of an event itself, with its file and host."""
    decode = given.decode or DecodeOptions()
    rule = None
    if decode.codec_multiline is not None:
        rule = Multiline(decode.codec_multiline, decode.codec_negate, decode.codec_what)
    as_message = decode.codec in _TEXTS
    if isinstance(options, StdinInput):
        return files.ReadFromStdin(given.name, multiline=rule, as_message=as_message, ecs=options.ecs)
    return files.ReadFromFiles(
        given.name,
        files.FollowOptions(
            path=options.path,
            exclude=options.exclude,
            from_end=options.start_position == "end",
            whole=options.mode == "read",
            positions=options.positions,
            multiline=rule,
            as_message=as_message,
            ecs=options.ecs,
        ),
    )


def _decode(plan: Plan) -> list[Step]:
    """Gives the step that decodes, where one is needed; it keeps documents where a later step reads them."""
    options = {key_of(each): decoder_of(each) for each in plan.inputs if decodes(plan, each)}
    if not options:
        return []
    keep = keeps_documents(plan) or _filters_at_all(plan) or any(each.properties for each in plan.inputs)
    if len(options) == len(plan.inputs) and len(set(map(repr, options.values()))) == 1:
        return [("Decode", decode_step(next(iter(options.values())), keep_documents=keep))]
    steps = {key: decode_step(each, keep_documents=keep) for key, each in options.items()}
    return [("Decode", decode_by_source(steps))]


def _filters(plan: Plan) -> list[Step]:
    """Gives the step that runs filters and decides on conditions, where there are any."""
    if not _filters_at_all(plan):
        return []
    before = {key_of(each): each.after for each in plan.inputs if each.after}
    step = FilterAndRoute(
        plan.filters, before=before, routes=routes_of(plan), keep_documents=keeps_documents(plan)
    )
    return [("Filters", step)]


def _filters_at_all(plan: Plan) -> bool:
    """Whether any event is decoded for a filter or a condition."""
    return (
        bool(plan.filters)
        or any(each.after for each in plan.inputs)
        or any(each.condition is not None for each in plan.outputs)
    )


def _reads_document(output: Output) -> bool:
    options = output.options
    if output.plugin == "elasticsearch":
        return bool(options.needs_documents)
    if output.plugin == "kinesis":
        return bool(options.event_partition_keys) or "%{" in options.stream_name
    if isinstance(options, FileOutput) and compile_reference(options.path).needs_document:
        return True
    return isinstance(options, FileOutput | StdoutOutput) and not options.codec.name.startswith("json")


def _require_objects_alone(plan: Plan) -> None:
    """Raises `OptionError` where an input that ends stands beside others: its objects would wait for no end."""
    objects = [each for each in plan.inputs if each.plugin == "s3"]
    if objects and len(plan.inputs) > 1:
        message = (
            f"{objects[0].place}: the input s3 reads its objects once and then ends, so it can't stand beside other "
            "inputs. Put it into a file of its own, with the same filters and outputs."
        )
        raise OptionError(message)


def _require_time_to_send(plan: Plan) -> None:
    """Raises `OptionError` where events would expire while a batch is gathered."""
    for source in plan.inputs:
        for sink in plan.outputs:
            if source.plugin == "beats" and sink.plugin == "kinesis":
                require_time_to_send(source.options, sink.options)
