"""The options of the Beats source, by the names that Logstash's beats input gave them where it has them."""

import dataclasses

from penstock.io.beats._limits import Limits
from penstock.io.errors import OptionError
from penstock.io.options import flag_of, option

__all__ = ["BeatsOptions"]

_AT_LEAST_ONE = (
    "max_pending_records",
    "max_pending_bytes",
    "max_window_size",
    "max_frame_bytes",
    "max_inflated_bytes",
    "max_inflate_ratio",
    "max_nesting",
    "max_connections",
)


@dataclasses.dataclass(frozen=True)
class BeatsOptions:
    """Where to listen for Beats, and what a client may ask of us."""

    host: str = option(
        "127.0.0.1",
        flag="beats_host",
        help="Address to listen on; 0.0.0.0 for all interfaces (Logstash's default), only on purpose.",
    )
    port: int = option(5044, flag="beats_port", help="TCP port to listen on.")
    max_pending_records: int = option(
        1000,
        help="Events read but not yet written: beyond it, sockets are not read (back-pressure, never loss). "
        "More means fuller writes and more memory.",
    )
    max_pending_bytes: int = option(
        64 << 20, help="Likewise in payload bytes; also the most that incomplete frames may hold together."
    )
    client_inactivity_timeout: float = option(
        60.0,
        help="Seconds until a client that sends nothing and waits for nothing is disconnected; 0: never.",
    )
    keepalive_interval: float = option(
        3.0, help="Seconds between keep-alives to a client that waits for an acknowledgement."
    )
    max_connections: int = option(2000, help="Clients connected at the same time; a further one is refused.")
    max_window_size: int = option(100_000, help="Events in a window (bulk_max_size of the Beat).")
    max_frame_bytes: int = option(
        16 << 20, help="Bytes of one event, or of one compressed frame before inflating."
    )
    max_inflated_bytes: int = option(
        64 << 20, help="Bytes that a compressed frame may become; checked while inflating."
    )
    max_inflate_ratio: int = option(
        100, help="How many times its length a compressed frame may become, beyond 8 MiB."
    )
    max_nesting: int = option(2, help="How deep compressed frames may be nested; Beats never nest them.")

    def __post_init__(self) -> None:
        flags = {field.name: flag_of(field) for field in dataclasses.fields(self)}
        _require(bool(self.host), "--beats_host is empty: give an address, such as 127.0.0.1 or 0.0.0.0.")
        _require(0 <= self.port <= 65535, f"--beats_port {self.port} is not a port: give 1 to 65535.")
        for name in _AT_LEAST_ONE:
            _require(getattr(self, name) >= 1, f"{flags[name]} must be at least 1.")
        _require(
            self.client_inactivity_timeout >= 0,
            "--client_inactivity_timeout must be 0 (never) or more seconds.",
        )
        _require(
            # Filebeat gives up after 30 s without an answer (its option `timeout`).
            0.1 <= self.keepalive_interval <= 25,
            "--keepalive_interval must be between 0.1 and 25 seconds.",
        )
        _require(
            self.max_frame_bytes <= self.max_pending_bytes,
            f"--max_frame_bytes ({self.max_frame_bytes}) must not exceed --max_pending_bytes "
            f"({self.max_pending_bytes}): such a frame could never be read.",
        )

    def limits(self) -> Limits:
        """What the protocol core checks; windows are cut so that half of what may be pending is one stretch."""
        return Limits(
            max_window_size=self.max_window_size,
            max_frame_bytes=self.max_frame_bytes,
            max_inflated_bytes=self.max_inflated_bytes,
            max_inflate_ratio=self.max_inflate_ratio,
            max_nesting=self.max_nesting,
            stretch_events=max(1, min(2048, self.max_pending_records // 2)),
            stretch_bytes=max(1, min(4 << 20, self.max_pending_bytes // 4)),
        )


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise OptionError(message)
