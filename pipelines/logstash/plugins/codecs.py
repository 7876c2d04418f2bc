"""`codecs` declares the codecs of a `logstash.conf`, and makes our decoders and writers of text of them."""

import re
from collections.abc import Mapping
from typing import Any

from penstock.io.errors import OptionError
from penstock.pipelines.configuration.making import options_from
from penstock.pipelines.logstash.plan import Place, TextCodec
from penstock.pipelines.logstash.plugins.declaration import PluginOption, ignored, mapped, refused
from penstock.pipelines.logstash.plugins.values import CodecUse, Situation, Values, Written, check
from penstock.pipelines.logstash.report import Report
from penstock.transforms.codecs.options import DecodeOptions
from penstock.transforms.logstash.filters.patterns import pattern_set
from penstock.transforms.logstash.filters.patterns._expand import GrokError, expand
from penstock.transforms.logstash.language.ruby._oniguruma import RubyRegexError, translate
from penstock.transforms.options import did_you_mean

__all__ = ["CODECS", "REFUSED_CODECS", "check_codec", "decode_options", "text_codec"]

_CHARSET = mapped("charset", to="", note="UTF-8 only")
_ECS = ignored(
    "codecs name no fields but message here; filters have it too", "ecs_compatibility", "enable_metric", "id"
)
_TARGET = refused("use the filter json { source => message  target => ... }", "target")

CODECS: dict[str, tuple[PluginOption, ...]] = {
    "plain": (mapped("format", to=""), _CHARSET, *_ECS),
    "line": (mapped("format", to=""), mapped("delimiter", to="", default="\n"), _CHARSET, *_ECS),
    "json": (_CHARSET, *_TARGET, *_ECS),
    "json_lines": (
        _CHARSET,
        mapped("delimiter", to="", default="\n", note="a line end"),
        *ignored("lines are bounded at 16 MiB", "decode_size_limit_bytes"),
        *_TARGET,
        *_ECS,
    ),
    "dots": _ECS,
    "rubydebug": (mapped("metadata", "boolean", to="", default=False), *_ECS),
    "multiline": (
        mapped("pattern", to="", required=True, note="with grok's `%{NAME}`"),
        mapped("what", "choice", to="", required=True, choices=("previous", "next")),
        mapped("negate", "boolean", to="", default=False),
        *ignored("events are bounded at 500 lines and 10 MiB", "max_lines", "max_bytes"),
        *ignored(
            "an event ends with the object, or when more has not come", "auto_flush_interval", "multiline_tag"
        ),
        *refused("put the pattern into `pattern`", "patterns_dir"),
        _CHARSET,
        *_ECS,
    ),
    "cloudwatch_logs": (_CHARSET, *_ECS),
    "cloudtrail": (_CHARSET, *_ECS),
    "cloudfront": (_CHARSET, *_ECS),
    "csv": (
        mapped("columns", "strings", to="", required=True, note="needed here"),
        mapped("separator", to="", default=",", note="a comma or a tab"),
        *refused(
            "use the filter csv",
            *(
                "convert",
                "autogenerate_column_names",
                "autodetect_column_names",
                "quote_char",
                "skip_empty_columns",
            ),
            *("include_headers", "target"),
        ),
        _CHARSET,
        *_ECS,
    ),
}
"""Codec -> the options that it takes."""

REFUSED_CODECS = {
    "avro": "decode it where records are made, or use kinesis-to-s3's and s3-to-elasticsearch's Avro",
    "cef": "use dissect and kv on the message",
    "collectd": "let collectd write JSON",
    "compress_spooler": "the S3 read knows compressed objects by their content",
    "edn": "use json",
    "edn_lines": "use json_lines",
    "es_bulk": "it needs the bulk API's input; send the events themselves",
    "fluent": "let Fluentd write JSON to Kinesis, or read it by Filebeat",
    "graphite": "use dissect on the message",
    "gzip_lines": "use line: the S3 read knows compressed objects by their content",
    "msgpack": "let the sender write JSON",
    "netflow": "let Filebeat's netflow input read it",
    "nmap": "use the XML in a job of your own",
    "protobuf": "decode it where records are made",
}

_DECODERS = {
    "plain": ("plain", "lines"),
    "line": ("lines", "lines"),
    "json": ("json", "json"),
    "json_lines": ("json", "json"),
    "multiline": ("", "lines"),
    "cloudwatch_logs": ("cloudwatch_logs", "cloudwatch_logs"),
    "cloudtrail": ("json", "json"),
    "cloudfront": ("cloudfront", "cloudfront"),
    "csv": ("csv", "csv"),
}
"""Codec -> our codec for whole records, and for what is read by lines."""


def check_codec(
    name: str,
    written: Mapping[str, Written],
    place: Place,
    plugin: str,
    allowed: tuple[str, ...],
    report: Report,
    situation: Situation,
) -> CodecUse | None:
    """Gives a codec with its options checked; None where it is refused, which is noted."""
    if name not in CODECS:
        told = (
            f"the codec {name} is not supported: {REFUSED_CODECS[name]}"
            if name in REFUSED_CODECS
            else f"no codec is called {name}{did_you_mean(name, [*CODECS, *REFUSED_CODECS])}"
        )
        report.problem(place, f"{plugin}: {told}")
        return None
    if name not in allowed:
        report.problem(place, f"{plugin}: takes the codecs {', '.join(allowed)}, not {name}")
        return None
    options = check(f"{plugin}: codec {name}", CODECS[name], written, place, report, situation.compat)
    charset = options.get("charset")
    if charset is not None and str(charset).upper() not in ("UTF-8", "US-ASCII"):
        report.problem(
            place, f"{plugin}: codec {name}: charset {charset}: texts are UTF-8 here; convert before"
        )
    return CodecUse(name, options, place)


def decode_options(values: Values, *, by_lines: bool) -> DecodeOptions | None:
    """Makes the decoder of an input's codec.

    Args:
        values: of the input.
        by_lines: whether its bytes come line by line, so that `plain` means a line.

    Returns:
        The options, or None where the codec is refused; that is noted.
    """
    use = values.codec
    if use is None:
        return None
    more: dict[str, Any] = {"codec": _DECODERS[use.name][by_lines]}
    if use.name == "multiline":
        pattern = _python_pattern(values, use)
        if pattern is None:
            return None
        more |= {
            "codec_multiline": pattern,
            "codec_negate": use.options["negate"],
            "codec_what": use.options["what"],
        }
    elif use.name == "cloudtrail":
        more |= {"expand": "Records", "timestamp_field": "eventTime"}
    elif use.name == "csv":
        separator = use.options["separator"]
        if separator not in (",", "\t", "\\t"):
            values.report.problem(
                use.place,
                f"{values.declared.name}: codec csv: the separator is a comma or a tab, not {separator!r}",
            )
        more |= {
            "codec": "csv" if separator == "," else "tsv",
            "codec_fields": use.options["columns"] or [],
        }
    elif use.options.get("delimiter") not in (None, "\n", "\\n"):
        values.report.problem(
            use.place, f"{values.declared.name}: codec {use.name}: a line ends with a line end here"
        )
    try:
        made = options_from(DecodeOptions, more)
    except OptionError as error:
        values.report.problem(use.place, f"{values.declared.name}: codec {use.name}: {error}")
        return None
    values.derived("codec", use.name, _source(values), "codec")
    return made


def _source(values: Values) -> str:
    given = values.written.get("codec")
    return f"{given.place.file}:{given.place.line}" if given else "default"


def _python_pattern(values: Values, use: CodecUse) -> str | None:
    """Gives a multiline pattern, with grok's names in it replaced, as Python's `re` takes it."""
    try:
        text = translate(expand(str(use.options["pattern"]), pattern_set(ecs=values.situation.ecs))).text
        re.compile(text)
    except (GrokError, RubyRegexError, re.error) as error:
        values.report.problem(use.place, f"{values.declared.name}: codec multiline: pattern: {error}")
        return None
    return text


def text_codec(values: Values) -> TextCodec | None:
    """Makes the writer of an output's codec."""
    use = values.codec
    if use is None:
        return None
    values.derived("codec", use.name, _source(values), "")
    delimiter = use.options.get("delimiter")
    return TextCodec(
        use.name,
        use.options.get("format"),
        "\n" if delimiter is None else str(delimiter).replace("\\n", "\n"),
        bool(use.options.get("metadata")),
    )
