"""`DecodeOptions` says how the bytes of a record become events: which codec, and what that codec needs to know."""

import dataclasses

import apache_beam as beam

from penstock.transforms.decode import DecodeJson, DecodePlain, JsonDecoder, PlainDecoder
from penstock.transforms.options import option

__all__ = ["DecodeOptions"]


@dataclasses.dataclass(frozen=True)
class DecodeOptions:
    """How a record becomes events."""

    codec: str = option(
        "json",
        help="json: a record holds JSON; plain: all of the record lands in the field `message`.",
        choices=("json", "plain"),
    )

    def decoder(self, *, keep_documents: bool = True) -> JsonDecoder | PlainDecoder:
        """Gives what decodes the events of a batch."""
        return PlainDecoder() if self.codec == "plain" else JsonDecoder(keep_documents=keep_documents)

    def step(self, *, keep_documents: bool = True) -> beam.PTransform:
        """Gives the same as a step of a pipeline."""
        return DecodePlain() if self.codec == "plain" else DecodeJson(keep_documents=keep_documents)
