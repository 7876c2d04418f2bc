"""`_protocol` is the server's half of Lumberjack: bytes in; stretches of events out, or a `ProtocolError`. Pure.

Operations. `receive(data)` only stores; `next_stretch()` parses one stretch of events from what is stored, or
gives None when it needs more. The caller decides when to parse, so inflating waits for its turn.

Goals.
- Any split of the bytes gives the same stretches' events, acknowledgements and error.
- A JSON event costs one `unpack_from` and one slice (a sixth of that in the kernel, `_native_frames.c`). Nothing is copied
  byte by byte, nothing is parsed twice.
- No memory is taken for a length that a peer only announces.

Plan. There is a stack of buffers: the bytes of the network at the bottom, the inflated frames above them,
the innermost on top. Frames are read from the top; an inflated buffer must end with its last frame. Events
are held until their window is complete, or until they fill a stretch: so a window of any size passes through
bounded memory, and a small window costs one stretch.

    state        W                        J, D               C              anything else
    no window    window, or ACK of 0      error              its frames     error
    in window    ends the short window    an event; the      its frames     error
                 as if it were whole      last ends it

Other servers differ in these cases; we follow Logstash where Beats depend on it (a new window before
the last one is full, sequence numbers that start anywhere, several compressed frames in a window).
Any error is final: the connection must be closed, and every later call raises an error of the same text. Only the
text is kept: an exception holds its traceback, which holds the inflated bytes and this receiver, a cycle (#16).
"""

from typing import Any, NamedTuple

from penstock.io.beats.wire import _frames as frames
from penstock.io.beats.wire._data_events import DataScan, as_json
from penstock.io.beats.wire._inflate import inflate
from penstock.io.beats.wire._limits import Limits
from penstock.io.errors import ProtocolError
from penstock.transforms.kernels import native

__all__ = ["Receiver", "Stretch"]

_kernel: Any = native.load(
    "penstock.io.beats.wire._native_frames", lambda kernel: kernel.read_events(b"", 0, 0, 0, 0, 0, [])
)
_UNPACK_JSON = frames.JSON_HEADER.unpack_from
_UNPACK_FRAME = frames.FRAME_HEADER.unpack_from


class Stretch(NamedTuple):
    """Events that follow each other in one window.

    Attributes:
        payloads: the events' bytes, in order; empty for a window of 0 and for the end of a short window.
        first: the index of its first event in the window, from 0.
        size: the payloads' bytes.
        ack: the sequence number to acknowledge once these and all earlier events are durable; None when
            nothing can be said before the window's end.
        final: whether the window ends here; its `ack` is then due exactly once.
        version: the version byte in which the client opened the window.
    """

    payloads: list[bytes]
    first: int
    size: int
    ack: int | None
    final: bool
    version: int


class Receiver:
    """Parses what one client sends.

    Attributes:
        in_window: whether a window was announced and isn't complete.
        windows: windows announced so far.
        inflated_bytes: what compressed frames have become so far.
        inflated_held: bytes of that which are held now.
        inflate_room: how many of them may be held. A frame that becomes more stays as it is, until there is more room.
        wants_room: whether parsing stopped for that reason.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._error = ""  # why this client can't be understood any more
        self._rest = bytearray()  # bytes not parsed yet; they begin with an incomplete frame
        self._need = 1  # bytes of `_rest` without which parsing makes no progress
        self._stack: list[tuple[bytes, int]] = []  # buffers below the top one, each with its position
        self._buffer = b""  # the top
        self._position = 0
        self._inflatable = 0  # what the outermost compressed frame may still become
        self._scan = DataScan(limits)
        self._payloads: list[bytes] = []
        self._size = 0
        self._seen = 0  # events of this window so far
        self._window = 0
        self._version = frames.VERSIONS[1]
        self._sequence = 0
        self._window_of_zero: Stretch | None = None  # due after the short window that it ended
        self.in_window = False
        self.windows = 0
        self.inflated_bytes = 0
        self.inflated_held = 0
        self.inflate_room = limits.max_inflated_bytes
        self.wants_room = False

    @property
    def buffered_bytes(self) -> int:
        """Payload and frame bytes held here."""
        held = len(self._rest) + self._size + len(self._buffer)
        return held + sum(len(buffer) for buffer, _ in self._stack) if self._stack else held

    @property
    def payload_bytes(self) -> int:
        """Bytes of that which are events of a window that isn't complete yet."""
        return self._size

    @property
    def awaited_bytes(self) -> int:
        """Bytes held when the frame that has begun is complete; the most possible for version 1, which doesn't tell."""
        return self._size + (self._limits.max_frame_bytes if self._scan.scanned else self._need)

    def receive(self, data: bytes) -> bool:
        """Stores bytes from the network. Returns whether `next_stretch` can make progress with them."""
        if not self._rest and not self._buffer:
            self._buffer, self._position = data, 0
            return True
        self._rest += data
        return len(self._rest) >= self._need

    def next_stretch(self) -> Stretch | None:
        """Gives the next events, or None when more bytes are needed.

        Raises:
            ProtocolError: the bytes aren't Lumberjack, or pass a limit; the text names its option.
        """
        if self._error:
            raise ProtocolError(self._error)
        try:
            return self._next_stretch()
        except ProtocolError as error:
            self._error = str(error)
            self._rest.clear()
            self._buffer, self._stack, self._payloads, self._size = b"", [], [], 0
            self.inflated_held = 0
            raise

    def at_end(self) -> bool:
        """Tells whether parsing needs more bytes; if so, it frees what is parsed."""
        if self._window_of_zero is not None or self._position < len(self._buffer):
            return False
        if any(position < len(buffer) for buffer, position in self._stack):
            return False
        self._buffer, self._position, self._stack, self.inflated_held = b"", 0, [], 0
        return len(self._rest) < self._need

    def part(self) -> Stretch:
        """Gives the events that are there of a window that isn't complete yet."""
        return self._end_stretch(final=False)

    def _next_stretch(self) -> Stretch | None:
        if self._window_of_zero is not None:
            empty, self._window_of_zero = self._window_of_zero, None
            return empty
        self.wants_room = False
        while not self.wants_room:
            if self._position >= len(self._buffer):
                if not self._refill():
                    return None
                continue
            stretch = self._read_frame()
            if stretch is not None:
                return stretch
        return None

    def _refill(self) -> bool:
        """Goes on with the buffer below, or with new bytes of the network."""
        if self._stack:
            self.inflated_held -= len(self._buffer)
            self._buffer, self._position = self._stack.pop()
            return True
        self._buffer, self._position = b"", 0
        if not self._rest or len(self._rest) < self._need:
            return False
        if self._scan.scanned and not self._scan.complete(self._rest, 0):
            self._need = self._scan.need
            return False
        self._buffer = bytes(self._rest)
        self._rest.clear()
        self._need = 1
        return True

    def _incomplete(self, need: int) -> None:
        """Waits for the `need` bytes of the frame at the position, or raises when they can't come."""
        if self._stack:
            message = "compressed frame ends in the middle of a frame."
            raise ProtocolError(message)
        # What came meanwhile stands behind what is left of the buffer.
        self._rest[:0] = memoryview(self._buffer)[self._position :]
        self._buffer, self._position = b"", 0
        self._need = need

    def _read_frame(self) -> Stretch | None:
        buffer, position = self._buffer, self._position
        available = len(buffer) - position
        if buffer[position] not in frames.VERSIONS:
            message = (
                f"not Lumberjack: a frame begins with byte 0x{buffer[position]:02x}, not with version 1 or 2."
            )
            raise ProtocolError(message)
        if available < frames.FRAME_HEADER.size:
            self._incomplete(frames.FRAME_HEADER.size)
            return None
        version, kind, number = _UNPACK_FRAME(buffer, position)
        if kind == frames.JSON and version == frames.VERSIONS[1]:
            return self._read_events()
        if kind == frames.WINDOW:
            self._position = position + frames.FRAME_HEADER.size
            return self._open_window(version, number)
        if kind == frames.COMPRESSED:
            self._read_compressed(number)
            return None
        if kind == frames.DATA:
            return self._read_data(number)
        message = f"frame type 0x{kind:02x} of version {version - 0x30} is none that a client sends."
        raise ProtocolError(message)

    # -- windows ---------------------------------------------------------------------------------------

    def _open_window(self, version: int, size: int) -> Stretch | None:
        self._limits.check_window(size)
        short = self._end_stretch(final=True) if self.in_window and self._seen else None
        self.windows += 1
        self._version, self._window = version, size
        self._seen, self._sequence = 0, 0
        self.in_window = size > 0
        if size == 0:
            empty = Stretch([], 0, 0, 0, True, version)
            if short is None:
                return empty
            self._window_of_zero = empty
        return short

    def _end_stretch(self, *, final: bool) -> Stretch:
        payloads = self._payloads
        # A client that does not count 1, 2, 3 would misread any number but the last one of its window.
        ack = self._sequence if final or self._sequence == self._seen else None
        stretch = Stretch(payloads, self._seen - len(payloads), self._size, ack, final, self._version)
        self._payloads, self._size = [], 0
        if final:
            self.in_window = False
        return stretch

    # -- events ----------------------------------------------------------------------------------------

    def _read_events(self) -> Stretch | None:
        """All JSON events at the position, up to the window's or the stretch's end: the hot loop."""
        if not self.in_window:
            raise _outside()
        buffer, position, limits, payloads = self._buffer, self._position, self._limits, self._payloads
        begin, held, header = position, len(payloads), frames.JSON_HEADER.size
        room = min(self._window - self._seen, limits.stretch_events - held)
        end, longest = len(buffer), limits.max_frame_bytes
        # The stretch's size counts the events' headers too, so that a position is enough to tell when it is full.
        enough = position + limits.stretch_bytes - self._size - header * held
        last = min(end - header, enough - 1)
        append, unpack, sequence, need = payloads.append, _UNPACK_JSON, self._sequence, 0
        if _kernel is not None:
            position, sequence = _kernel.read_events(
                buffer, position, last, room, longest, sequence, payloads
            )
            room -= len(payloads) - held
        # Without the kernel for all events, with it for the one at which it stopped.
        for _ in range(room):
            if position > last:
                if position < enough and buffer[position : position + 2] == b"2J":
                    need = header
                break
            code, number, length = unpack(buffer, position)
            if code != frames.JSON_CODE:
                break
            if length > longest:
                limits.check_frame("event", length)
            start = position + header
            stop = start + length
            if stop > end:
                need = header + length
                break
            append(buffer[start:stop])
            position = stop
            sequence = number
        count = len(payloads) - held
        self._position, self._sequence = position, sequence
        self._seen += count
        self._size += position - begin - header * count
        stretch = self._stretch_if_due()
        if stretch is None and need:
            self._incomplete(need)
        return stretch

    def _stretch_if_due(self) -> Stretch | None:
        if self._seen == self._window:
            return self._end_stretch(final=True)
        held = len(self._payloads)
        size = self._size + frames.JSON_HEADER.size * held
        if held >= self._limits.stretch_events or size >= self._limits.stretch_bytes:
            return self._end_stretch(final=False)
        return None

    def _read_data(self, sequence: int) -> Stretch | None:
        """Reads one version 1 event: pairs of strings, which become one JSON object."""
        if not self.in_window:
            raise _outside()
        start, scan = self._position, self._scan
        if not scan.complete(self._buffer, start):
            self._incomplete(scan.need)
            return None
        payload = as_json(self._buffer, start, scan.scanned, self._limits)
        if self._stack:  # its size as JSON counts, not that of the frame
            self._inflatable -= max(0, len(payload) - scan.scanned)
            self._limits.check_decoded(self._inflatable)
        self._position += scan.scanned
        scan.scanned = 0
        self._payloads.append(payload)
        self._size += len(payload)
        self._seen += 1
        self._sequence = sequence
        return self._stretch_if_due()

    def _read_compressed(self, length: int) -> None:
        start = self._position + frames.FRAME_HEADER.size
        limits = self._limits
        limits.check_frame("compressed frame", length)
        limits.check_nesting(len(self._stack) + 1)
        if len(self._buffer) - start < length:
            self._incomplete(frames.FRAME_HEADER.size + length)
            return
        if not self._stack:
            self._inflatable = limits.max_inflated_bytes
        data = memoryview(self._buffer)[start : start + length]
        room = self.inflate_room - self.inflated_held
        inflated = inflate(data, self._inflatable, limits.max_inflate_ratio, room)
        if inflated is None:
            self.wants_room = True
            return
        # Nested frames count too. Otherwise a bomb would only need one more layer.
        self._inflatable -= len(inflated)
        self.inflated_bytes += len(inflated)
        self.inflated_held += len(inflated)
        self._stack.append((self._buffer, start + length))
        self._buffer, self._position = inflated, 0


def _outside() -> ProtocolError:
    return ProtocolError("an event came outside of any window, or beyond the number its window announced.")
