"""`LongRecord` decodes a record that is too long to hold (a line of an object) from its blocks.

Events get the parts, and so the ids, that they get where the record is decoded whole.
"""

from collections.abc import Callable, Iterable

import orjson

from penstock.transforms import fields
from penstock.transforms.batch import DeadLetter, Event, Origin
from penstock.transforms.codecs._json_cutter import Cut, JsonCutter
from penstock.transforms.codecs._json_values import NotJson, elements
from penstock.transforms.codecs.decoder import AutoDecoder, CloudWatchCodec, CodecDecoder
from penstock.transforms.codecs.json_objects import JsonDecoder, NotAnObject, RecordTooLarge, copy_outer
from penstock.transforms.document import Unwritable, json_of

__all__ = ["LongRecord", "long_records_of"]

_OF_A_PART = "s3"
"""The stage of letters that hold only the beginning of what was refused: as with a line that is too long, no replay."""

_Decoded = tuple[list[Event], list[DeadLetter]]


def long_records_of(decoder: object) -> "Callable[[Origin, int, int], LongRecord] | None":
    """Gives what makes a `LongRecord` (of origin, index, bytes of a value at most); None where the codec reads no JSON."""
    auto = decoder if isinstance(decoder, AutoDecoder) else None
    json = auto.json if auto else decoder
    if isinstance(json, JsonDecoder):
        return lambda origin, index, limit: LongRecord(
            origin, index, limit, json.expand, json.expand_copy, auto.recognise if auto else None
        )
    of_json = isinstance(decoder, CodecDecoder) and isinstance(decoder.codec, CloudWatchCodec)
    return LongRecord if of_json else None


class LongRecord:
    """Decodes one record. Call `feed` for each of its blocks, and `finish` at the end.

    Args:
        origin: of its events.
        index: its number there.
        max_bytes: a longer value, or element of the list, is refused.
        expand: the list whose elements become events; None: each value is a record for the decoder behind.
        expand_copy: outer fields that are copied into each.
        recognise: makes other events of those that this decoded, where no decoder behind does.
    """

    def __init__(
        self,
        origin: Origin,
        index: int,
        max_bytes: int,
        expand: fields.Path | None = None,
        expand_copy: tuple[fields.Path, ...] = (),
        recognise: Callable[[list[Event]], _Decoded] | None = None,
    ) -> None:
        self._origin, self._index, self._part = origin, index, 0
        self._copied, self._recognise = expand_copy, recognise
        self._cutter = JsonCutter(expand, expand_copy, max_bytes)
        self._whole = (
            None
            if expand is None
            else JsonDecoder(keep_documents=False, expand=expand, expand_copy=expand_copy)
        )
        self._element = JsonDecoder(keep_documents=False)

    def feed(self, block: bytes) -> _Decoded:
        """Gives the events that end in this block; those of an expanded list are decoded."""
        return self._decoded(self._cutter.feed(block))

    def finish(self) -> _Decoded:
        """Gives what is left at the end."""
        return self._decoded(self._cutter.finish())

    def _decoded(self, cuts: Iterable[Cut]) -> _Decoded:
        events: list[Event] = []
        letters: list[DeadLetter] = []
        elements: list[Event] = []
        for cut in cuts:
            place = Event(cut.data, self._origin, self._index, self._part)
            if cut.refused:
                error = RecordTooLarge if "bytes" in cut.refused else NotAnObject
                stage = _OF_A_PART if cut.cut_off else "decode"
                letters.append(DeadLetter(place, error.__name__, cut.refused[:300], stage))
                self._part += 1
            elif cut.outer is not None and not cut.data.startswith(b"{"):
                letters.append(
                    DeadLetter(place, NotAnObject.__name__, "an element of the list is no object", "decode")
                )
                self._part += 1
            elif cut.outer is not None:
                self._part += 1
                try:
                    place.data = self._with_outer(cut.data, cut.outer)
                    elements.append(place)
                except (NotAnObject, Unwritable) as error:
                    letters.append(DeadLetter(place, type(error).__name__, str(error), "decode"))
            elif self._whole is not None:
                events += self._passed(elements, letters)
                elements = []
                found, refused = self._whole.decode([place])
                self._part = max(
                    [self._part, *(e.part + 1 for e in found), *(x.event.part + 1 for x in refused)]
                )
                events += found
                letters += refused
            elif cut.data.startswith(b"["):
                found, refused = self._elements(place)
                events += found
                letters += refused
                self._part += len(found) + len(refused)
            else:
                events.append(place)
                self._part += 1
        events += self._passed(elements, letters)
        if self._whole is None or self._recognise is None:
            return events, letters
        found, refused = self._recognise(events)
        return found, letters + refused

    def _elements(self, place: Event) -> _Decoded:
        """Gives the elements of an array, for the decoder behind."""
        try:
            rows = elements(place.data)
        except NotJson:
            return [place], []  # a letter of the decoder's
        events: list[Event] = []
        letters: list[DeadLetter] = []
        for part, row in enumerate(rows, self._part):
            event = Event(row, place.origin, place.index, part)
            if row.startswith(b"{"):
                events.append(event)
            else:
                letters.append(
                    DeadLetter(event, ValueError.__name__, "the event is no JSON object", "decode")
                )
        return events, letters

    def _passed(self, elements: list[Event], letters: list[DeadLetter]) -> list[Event]:
        """Gives the elements with id and time, so that the decoder behind doesn't look for the list in them."""
        decoded, refused = self._element.decode(elements) if elements else ([], [])
        letters += refused
        return decoded

    def _with_outer(self, data: bytes, outer: dict[str, object]) -> bytes:
        if not self._copied:
            return data
        try:
            row = orjson.loads(data)
        except orjson.JSONDecodeError:
            return data  # a letter of the decoder's
        copy_outer(row, [(copied, fields.get(outer, copied)) for copied in self._copied])
        return b"%b" % json_of(row)  # a copy: what orjson gives keeps the kilobyte it was written into
