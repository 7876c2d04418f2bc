"""`CODECS` declares every codec in one place: its input, its output, its ids, its limits, and its decoder.

The choices of `--codec`, the table in docs/codecs.md and the tests come from here.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

from penstock.transforms.codecs.decoder import AutoDecoder, CloudWatchCodec, CodecDecoder, Decoder
from penstock.transforms.codecs.json_objects import JsonDecoder
from penstock.transforms.codecs.lines._aws_formats import FORMATS
from penstock.transforms.codecs.lines._multiline import Multiline
from penstock.transforms.codecs.lines._separated import LineFormat
from penstock.transforms.codecs.lines.text_codecs import ColumnCodec, LineCodec, TextCodec
from penstock.transforms.codecs.plain import PlainDecoder

__all__ = ["CODECS", "Codec"]


@dataclasses.dataclass(frozen=True)
class Codec:
    """One codec.

    Attributes:
        name: its name for `--codec`.
        takes: the content of a record, in words.
        gives: the event, in words.
        identity: the source of the document's id.
        limits: its limits, in words.
        make: makes the decoder from the options (`DecodeOptions`) and `keep_documents`.
        source: the page that documents the format, where others made it.
        options: the options that only some codecs have, and this one takes.
        headed: whether a first line may name the fields of those behind it: an object is then read from its beginning.
    """

    name: str
    takes: str
    gives: str
    identity: str
    limits: str
    make: Callable[[Any, bool], Decoder]
    source: str = ""
    options: tuple[str, ...] = ()
    headed: bool = False

    @property
    def cost(self) -> str:
        """CPU-seconds per million events, from a record's bytes to events with ids (benchmarks/codecs.py, C kernels)."""
        return _COSTS[self.name]


_COSTS = {
    "json": "2.4",
    "auto": "2.8",
    "plain": "4.1",
    "lines": "1.3; joined 1.8",
    "cloudwatch_logs": "1.0 to 1.5, inflating included",
    "csv": "3.3; with quotes 4.6",
    "tsv": "3.3",
    "vpcflow": "1.9",
    "alb": "2.9",
    "nlb": "2.3",
    "elb": "1.9",
    "cloudfront": "1.8",
    "cloudfront_realtime": "1.6",
    "s3access": "2.8",
}
_POSITION = "the record's place (stream, shard and number; bucket, key, ETag and row) and the part's number"
_INFLATED = "16 MiB per record, inflated; at most 3 layers of compression"


def _json(options: Any, keep: bool) -> JsonDecoder:
    return JsonDecoder(keep_documents=keep, expand=options.expand_path, expand_copy=options.expand_copy_paths)


def _auto(options: Any, keep: bool) -> AutoDecoder:
    return AutoDecoder(_json(options, keep), message_json=options.codec_message_json, keep_documents=keep)


def _plain(options: Any, keep: bool) -> PlainDecoder:
    return PlainDecoder(base64_field=options.codec_base64_field)


def _cloudwatch(options: Any, keep: bool) -> CodecDecoder:
    codec = CloudWatchCodec(message_json=options.codec_message_json)
    return CodecDecoder(codec, options.codec, keep_documents=keep)


def _lines(options: Any, keep: bool) -> CodecDecoder:
    joined = None
    if options.codec_multiline is not None:
        joined = Multiline(options.codec_multiline, options.codec_negate, options.codec_what)
    return CodecDecoder(TextCodec(joined), options.codec, keep_documents=keep)


def _columns(separator: str) -> Callable[[Any, bool], Decoder]:
    return lambda options, keep: CodecDecoder(
        ColumnCodec(options.codec_fields, separator), options.codec, keep_documents=keep
    )


def _format(form: LineFormat) -> Callable[[Any, bool], Decoder]:
    return lambda options, keep: CodecDecoder(
        LineCodec(form, options.codec_fields), options.codec, keep_documents=keep
    )


_TEXTS = {
    "vpcflow": "VPC flow logs, versions 2 to 8; a header line or `--codec_fields` names the fields of a custom format",
    "alb": "access logs of Application Load Balancers",
    "nlb": "access logs of Network Load Balancers (TLS listeners)",
    "elb": "access logs of Classic Load Balancers",
    "cloudfront": "CloudFront's standard logs; `#Fields:` names their fields",
    "cloudfront_realtime": "CloudFront's real-time logs; `--codec_fields` where not all fields are sent",
    "s3access": "S3's server access logs",
}

CODECS: dict[str, Codec] = {
    codec.name: codec
    for codec in (
        Codec(
            "json",
            "JSON objects: one, an array, one per line, one after another without a separator (Firehose), over many "
            "lines; UTF-16 by its mark; gzip, zlib, zstd by content",
            "each object as it came; with `--expand`, one event per element of a list",
            "the Beat's own fields, else " + _POSITION,
            _INFLATED + "; 100,000 events per record",
            _json,
            options=("expand", "expand_copy"),
        ),
        Codec(
            "auto",
            "JSON as `json` reads it, and CloudWatch Logs between it: a stream into which both are sent",
            "as `json` (`--expand` too), or as `cloudwatch_logs` for objects with `messageType`, `logGroup`, `logStream` "
            "and `logEvents`",
            "as there",
            _INFLATED,
            _auto,
            options=("expand", "expand_copy", "codec_message_json"),
        ),
        Codec(
            "plain",
            "text",
            "all of it in `message`",
            _POSITION,
            "UTF-8; other bytes are a letter, or base64 in `--codec_base64_field`",
            _plain,
            options=("codec_base64_field",),
        ),
        Codec(
            "lines",
            "text in lines; with `--codec_multiline`, lines that belong together",
            "each in `message`",
            _POSITION,
            _INFLATED + "; 500 lines and 10 MiB per event",
            _lines,
            options=("codec_multiline", "codec_negate", "codec_what"),
        ),
        Codec(
            "cloudwatch_logs",
            "what a subscription of CloudWatch Logs sends, straight or through Firehose (gzip, also twice)",
            "one event per log event, in ECS fields; control messages are dropped",
            "account, log group, log stream and the log event's own `id`",
            _INFLATED,
            _cloudwatch,
            "https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html",
            ("codec_message_json",),
        ),
        *(
            Codec(
                name,
                takes,
                "the columns as fields",
                _POSITION,
                _INFLATED + "; no line breaks within a value",
                _columns(separator),
                options=("codec_fields",),
                headed=True,
            )
            for name, takes, separator in (
                (
                    "csv",
                    "comma-separated values; the first line of an object, or `--codec_fields`, names the columns",
                    ",",
                ),
                ("tsv", "the same, separated by tabs", "\t"),
            )
        ),
        *(
            Codec(
                name,
                takes,
                f"typed fields under `aws.{name}`, `@timestamp` from the line",
                _POSITION,
                _INFLATED,
                _format(FORMATS[name]),
                FORMATS[name].source,
                ("codec_fields",),
                bool(FORMATS[name].header),
            )
            for name, takes in _TEXTS.items()
        ),
    )
}
"""Codec name -> declaration, in the order of the documentation."""
