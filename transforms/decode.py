"""`DecodeJson` and `DecodePlain` make events of payload bytes.

A record may hold one of these:
- one JSON object: one event, whose bytes stay as they came;
- an array of objects, or objects one after another (per line, without a separator, over many lines): several events,
  each with its own bytes, told apart by `part`;
- an empty array, or nothing but white space between the lines: no event;
- the same in UTF-16 behind its byte order mark, or compressed (gzip, zlib, zstd);
- anything else (`NaN`, bad UTF-8, lone surrogates, a bare string or number, nesting beyond 1024
  levels, more than `max_bytes` or `max_parts`): a dead letter, a tagged event, or an error, by `on_error`;
- a key given twice: the last one counts here, and Elasticsearch refuses the document;
- integers beyond 64 bits: kept digit by digit, unless a transform changes the event (then they become floats).

An event that has an id (a row of a Parquet or Avro file) is decoded already, and passes as it is.
"""

import codecs
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import apache_beam as beam
import msgspec
from apache_beam.metrics import Metrics

from penstock.transforms import fields
from penstock.transforms.batch import EventBatch
from penstock.transforms.codecs.decoder import Decoder
from penstock.transforms.codecs.json_objects import JsonDecoder
from penstock.transforms.codecs.options import DecodeOptions
from penstock.transforms.codecs.plain import PlainDecoder
from penstock.transforms.kernels._event_lists import without_id
from penstock.transforms.step_kind import StepKind
from penstock.transforms.time.stamping import Stamper

__all__ = [
    "DecodeJson",
    "DecodePlain",
    "JsonDecoder",
    "PlainDecoder",
    "decode_by_source",
    "decode_step",
]

ON_ERROR = ("dead_letter", "tag", "raise")

_DECODES = StepKind(gives_ids=True, refuses=True)


class DecodeJson(beam.PTransform):
    """Makes events out of records that hold JSON, with their document id and `@timestamp` (else that of their arrival).

    Args:
        keep_documents: whether events keep the decoded document; later steps that need one parse again if not.
        source: the field that holds the JSON text; default: the whole record.
        target: the field that takes the decoded JSON; default: the whole event.
        charset: the encoding of the bytes, by a Python codec name.
        on_error: what becomes of a record that cannot be decoded: `dead_letter`; `tag` (an event with the text
            in `message` and the tag `_jsonparsefailure`, as Logstash makes); `raise` (ends the job).
        max_bytes: larger records are errors.
        max_parts: records that hold more events are errors.

    Delivery guarantee: every record ends up in events or dead letters; nothing is held back.

    Example:
        >>> from penstock.testing import through
        >>> from penstock.transforms import DecodeJson
        >>> through(DecodeJson(), b'[{"a": 1, "@timestamp": "2026-11-28T00:00:00Z"}, {"a": 2}]')
        [{'a': 1, '@timestamp': '2026-11-28T00:00:00Z'}, {'a': 2, '@timestamp': '1970-01-01T00:00:00.000Z'}]
        >>> through(DecodeJson(), b'{"a":')
        ['decode: JSONDecodeError: unexpected end of data: line 1 column 6 (char 5)']
    """

    step_kind = _DECODES

    def __init__(
        self,
        *,
        keep_documents: bool = True,
        source: str | None = None,
        target: str | None = None,
        charset: str = "utf-8",
        on_error: str = "dead_letter",
        max_bytes: int = 16 << 20,
        max_parts: int = 100_000,
    ) -> None:
        super().__init__()
        if on_error not in ON_ERROR:
            message = f"on_error {on_error!r} is none of {', '.join(ON_ERROR)}"
            raise ValueError(message)
        if max_bytes < 1 or max_parts < 1:
            message = "max_bytes and max_parts must be at least 1"
            raise ValueError(message)
        self._decoder = JsonDecoder(
            keep_documents=keep_documents,
            source=fields.parse_path(source) if source else None,
            target=fields.parse_path(target) if target else None,
            charset=codecs.lookup(charset).name,
            on_error=on_error,
            max_bytes=max_bytes,
            max_parts=max_parts,
        )

    def display_data(self) -> dict[str, Any]:  # noqa: D102
        given, usual = msgspec.structs.asdict(self._decoder), msgspec.structs.asdict(JsonDecoder())
        paths = {name: ".".join(given[name]) for name in ("source", "target") if given[name]}
        return {name: value for name, value in given.items() if value != usual[name]} | paths

    def expand(self, batches: beam.PCollection) -> beam.PCollection:  # noqa: D102
        return batches | "DecodeJson" >> beam.ParDo(_DecodeDoFn(self._decoder))


class DecodePlain(beam.PTransform):
    """Puts each record's text into `message`, and the time of its arrival into `@timestamp`.

    Args:
        charset: the encoding of the bytes, by a Python codec name; a record that doesn't fit it is a dead letter.

    The id comes from the record's position, whatever the text is.

    Example:
        >>> from penstock.testing import through
        >>> from penstock.transforms import DecodePlain
        >>> through(DecodePlain(), b"any text")
        [{'@timestamp': '1970-01-01T00:00:00.000Z', 'message': 'any text'}]
    """

    step_kind = _DECODES

    def __init__(self, *, charset: str = "utf-8") -> None:
        super().__init__()
        self._decoder = PlainDecoder(codecs.lookup(charset).name)

    def display_data(self) -> dict[str, Any]:  # noqa: D102
        return {"charset": self._decoder.charset}

    def expand(self, batches: beam.PCollection) -> beam.PCollection:  # noqa: D102
        return batches | "DecodePlain" >> beam.ParDo(_DecodeDoFn(self._decoder))


def decode_step(options: DecodeOptions, *, keep_documents: bool = True) -> beam.PTransform:
    """Gives the decoder that the options choose, as a step of a pipeline.

    Args:
        options: the codec, and where events get their time from.
        keep_documents: whether events keep the decoded document.
    """
    step = beam.ParDo(_DecodeDoFn(options.decoder(keep_documents=keep_documents), options.stamper()))
    step.step_kind = dataclasses.replace(_DECODES, whole_objects=options.needs_whole_objects)
    return step


def decode_by_source(steps: Mapping[str, beam.PTransform]) -> beam.PTransform:
    """Gives one step for the batches of several sources, each of which has its decoder.

    Args:
        steps: what `decode_step` gave, by the source's key; batches of other sources pass as they are.
    """
    step = beam.ParDo(_BySourceDoFn({key: made.fn for key, made in steps.items()}))
    step.step_kind = _DECODES
    return step


class _BySourceDoFn(beam.DoFn):
    def __init__(self, decoders: dict[str, "_DecodeDoFn"]) -> None:
        self._decoders = decoders

    def process(self, batch: EventBatch) -> Iterator[EventBatch]:
        decoder = self._decoders.get(getattr(batch.receipt, "source", "").partition("#")[0])
        return iter((batch,)) if decoder is None else decoder.process(batch)


class _DecodeDoFn(beam.DoFn):
    def __init__(self, decoder: Decoder, stamper: Stamper | None = None) -> None:
        self._decoder = decoder
        self._stamp = stamper or Stamper()
        self._failures = Metrics.counter("decode", "failures")

    def process(self, batch: EventBatch) -> Iterator[EventBatch]:
        text = without_id(batch.events)
        if not text and batch.events:
            self._stamp(batch.events)
            yield batch
            return
        passed = len(text) < len(batch.events)
        rows = [event for event in batch.events if event.id is not None] if passed else []
        events, letters = self._decoder.decode(text)
        if rows:
            events = rows + events
        self._stamp(events)
        if letters:
            self._failures.inc(len(letters))
        yield batch.with_events(events, letters)
