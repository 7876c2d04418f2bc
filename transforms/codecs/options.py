"""`DecodeOptions` says how the bytes of a record become events: it names the codec and holds the codec's options."""

import dataclasses
import re

from penstock.transforms import fields
from penstock.transforms.batch import Event
from penstock.transforms.codecs._cloudwatch_logs import LISTS
from penstock.transforms.codecs.declarations import CODECS
from penstock.transforms.codecs.decoder import Decoder
from penstock.transforms.document import payload_of
from penstock.transforms.options import flag_of, option
from penstock.transforms.time.stamping import Stamper

__all__ = ["DecodeOptions"]


@dataclasses.dataclass(frozen=True)
class DecodeOptions:
    """How a record becomes events.

    Raises:
        ValueError: a value is not allowed, or the codec does not take the option.
    """

    codec: str = option(
        "json",
        help="What the bytes of a record mean (docs/codecs.md). json: JSON in any row; plain: all of it is `message`; "
        "lines: a message per line; the others: what AWS services write.",
        choices=tuple(CODECS),
    )
    expand: str | None = option(
        None,
        help="json, auto: one event per element of this list of each object: Records, configurationItems, a.b. An object "
        "without it stays one event.",
    )
    expand_copy: list[str] = option(
        [], help="json, auto: outer fields that go into each event of --expand, where it has no such field."
    )
    codec_fields: list[str] = option(
        [],
        help="csv, tsv: the columns, name or name:int (float, bool); of AWS' text formats: the fields of a custom format, "
        "by their documented names.",
    )
    codec_message_json: bool = option(
        False, help="cloudwatch_logs, auto: a message that is a JSON object is laid over the event."
    )
    codec_multiline: str | None = option(
        None, help="lines: regular expression; a line that it is found in belongs to the one before."
    )
    codec_negate: bool = option(
        False, help="lines: the lines without it are meant, as in Logstash's multiline."
    )
    codec_what: str = option(
        "previous",
        help="lines: they belong to the previous line, or to the next one.",
        choices=("previous", "next"),
    )
    timestamp_field: str | None = option(
        None,
        help="FIELD or FIELD:FORMAT, whose time becomes @timestamp: ISO8601 (the default), UNIX, UNIX_MS, or a pattern "
        "such as dd/MMM/yyyy:HH:mm:ss Z. An event without it keeps its @timestamp, else gets the time when it arrived.",
    )
    codec_base64_field: str | None = option(
        None,
        help="plain: field for the base64 of a record that isn't UTF-8. Without it such a record is a dead letter.",
    )

    def __post_init__(self) -> None:
        if self.codec not in CODECS:
            message = f"--codec {self.codec!r} is not one of {', '.join(CODECS)}."
            raise ValueError(message)
        for field in dataclasses.fields(self):
            usual = field.default if field.default is not dataclasses.MISSING else []
            if (
                field.name not in ("codec", "timestamp_field")
                and getattr(self, field.name) != usual
                and field.name not in CODECS[self.codec].options
            ):
                takers = ", ".join(name for name, codec in CODECS.items() if field.name in codec.options)
                message = f"{flag_of(field)} is for --codec {takers}; this is --codec {self.codec}."
                raise ValueError(message)
        if self.expand_copy and not self.expand:
            message = "--expand_copy needs --expand: it copies fields into the events of that list."
            raise ValueError(message)
        if self.codec == "auto" and self.expand in LISTS:
            message = (
                f"--expand {self.expand} is a list of CloudWatch Logs, which --codec auto reads by itself. If it is to be "
                "read as any JSON, give --codec json."
            )
            raise ValueError(message)
        if self.codec_multiline is not None:
            try:
                re.compile(self.codec_multiline)
            except re.error as error:
                message = f"--codec_multiline {self.codec_multiline!r} is no regular expression: {error}."
                raise ValueError(message) from None
        if self.timestamp_field is not None:
            try:
                Stamper(self.timestamp_field)
            except ValueError as error:
                message = f"--timestamp_field {self.timestamp_field!r}: {error}."
                raise ValueError(message) from None
        for name in filter(None, (self.expand, *self.expand_copy)):
            fields.parse_path(name)

    @property
    def expand_path(self) -> fields.Path | None:
        """The path of the list of `--expand`."""
        return fields.parse_path(self.expand) if self.expand else None

    @property
    def expand_copy_paths(self) -> tuple[fields.Path, ...]:
        """The paths of the fields of `--expand_copy`."""
        return tuple(fields.parse_path(name) for name in self.expand_copy)

    @property
    def needs_whole_objects(self) -> bool:
        """Whether an object's lines are read from its first to its last, since one may say what others mean."""
        return self.codec_multiline is not None or (CODECS[self.codec].headed and not self.codec_fields)

    @property
    def lacking_in_a_stream(self) -> str:
        """Says what is missing where a stream is read, whose first line names no columns; "" when nothing is."""
        if self.codec not in ("csv", "tsv") or self.codec_fields:
            return ""
        return f"--codec {self.codec} needs --codec_fields name,name:int,... here: no line of a stream names the columns."

    def decoder(self, *, keep_documents: bool = True) -> Decoder:
        """Makes the decoder of a batch's events."""
        return CODECS[self.codec].make(self, keep_documents)

    def preview(self, events: list[Event]) -> tuple[list[bytes], str]:
        """Gives the documents that these records become, and the reason of the first letter among them."""
        text = [event for event in events if event.id is None]
        made, letters = self.decoder(keep_documents=False).decode(text) if text else (events, [])
        self.stamper()(made)
        return [payload_of(each) for each in made], letters[0].reason if letters else ""

    def stamper(self) -> Stamper:
        """Makes the stamper, which sets the time of decoded events."""
        return Stamper(self.timestamp_field)
