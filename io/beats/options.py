"""`BeatsOptions` holds the options of the Beats source.

Their names are those of Logstash's beats input, where it has them.
"""

import dataclasses

from penstock.io.beats._enrich import KINDS
from penstock.io.beats.transport.tls import CLIENT_AUTHENTICATION, PROTOCOLS, TlsFiles
from penstock.io.beats.wire._limits import Limits
from penstock.io.errors import OptionError
from penstock.io.options import flag_of, option
from penstock.io.shares import Shares

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
        help="Address to listen on. 0.0.0.0 means all interfaces (Logstash's default); give it only on purpose.",
    )
    port: int = option(5044, flag="beats_port", help="TCP port to listen on.")
    max_pending_records: int = option(
        1000,
        help="Most events read but not yet written. At this bound sockets are not read (back-pressure, never loss). "
        "More means fuller writes and more memory.",
    )
    max_pending_bytes: int = option(
        64 << 20,
        help="The same bound in bytes of memory. All unfinished frames together may hold as much, "
        "and inflated ones half of it.",
    )
    record_max_buffered_time: int = option(
        100,
        help="Milliseconds that events may wait for a fuller batch; longer is cheaper, shorter is quicker.",
    )
    client_inactivity_timeout: float = option(
        60.0,
        help="Seconds until a client that sends nothing and waits for nothing is disconnected; 0: never.",
    )
    keepalive_interval: float = option(
        3.0, help="Seconds between keep-alives to a client that waits for an acknowledgement."
    )
    ssl_enabled: bool = option(False, help="Whether clients must speak TLS.")
    ssl_certificate: str | None = option(
        None,
        help="PEM file of the server's certificate, with intermediate ones behind it. Read again when it changes.",
    )
    ssl_key: str | None = option(None, help="PEM file of its private key, PKCS#8 or PKCS#1.")
    ssl_key_passphrase: str | None = option(
        None, help="Passphrase of the key, if it is encrypted.", secret=True
    )
    ssl_certificate_authorities: list[str] = option(
        [], help="PEM files of the authorities that sign clients' certificates."
    )
    ssl_client_authentication: str = option(
        "none",
        help="Whether clients show a certificate.",
        choices=("none", "optional", "required"),
    )
    ssl_supported_protocols: list[str] = option(
        ["TLSv1.2", "TLSv1.3"], help="TLS versions allowed, with none left out between them."
    )
    ssl_cipher_suites: list[str] = option(
        [], help="Cipher suites allowed, by their registered or OpenSSL's names; else OpenSSL's default."
    )
    ssl_handshake_timeout: int = option(
        10_000, help="Milliseconds for a client's TLS handshake, and for its PROXY header."
    )
    proxy_protocol: bool = option(
        False,
        help="Whether a load balancer puts a PROXY header (version 1 or 2) in front of each connection. "
        "Its header decides the client's address, so let nobody else reach the port.",
    )
    validate: bool = option(
        False,
        help="Whether events that are no JSON objects become dead letters (and are acknowledged). Parses each event.",
    )
    enrich: list[str] = option(
        [],
        help="What to add to each event's @metadata: source_metadata (the client's address), ssl_peer_metadata, "
        "all or none. codec_metadata adds nothing here. What is no JSON object becomes a dead letter.",
    )
    share_port: bool = option(
        False,
        flag="beats_share_port",
        help="Whether several processes of this user may listen on the port (SO_REUSEPORT), for Beam workers on one "
        "host. Without it, a second job on the port is refused at its start; with it, nobody notices the second job.",
    )
    readers: int = option(
        0,
        flag="beats_readers",
        help="How many Beam workers read, each process listening on the shared port. 0: as many as the runner's "
        "--parallelism; DirectRunner has one.",
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
            self.record_max_buffered_time >= 0, "--record_max_buffered_time must be 0 or more (milliseconds)."
        )
        _require(
            0 <= self.record_max_buffered_time <= 3_600_000,
            "--record_max_buffered_time must be between 0 and 3600000 milliseconds.",
        )
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
            self.ssl_handshake_timeout >= 1, "--ssl_handshake_timeout must be at least 1 (milliseconds)."
        )
        _require(self.readers >= 0, "--beats_readers must not be negative.")
        self._check_enrich()
        self._check_tls()
        _require(
            self.max_frame_bytes <= self.max_pending_bytes,
            f"--max_frame_bytes ({self.max_frame_bytes}) must not exceed --max_pending_bytes "
            f"({self.max_pending_bytes}): such a frame could never be read.",
        )

    def _check_enrich(self) -> None:
        for kind in self.enrich:
            _require(
                kind in (*KINDS, "all", "none"),
                f"--enrich {kind!r} is none of {', '.join(KINDS)}, all, none.",
            )
        _require("none" not in self.enrich or self.enrich == ["none"], "--enrich none stands alone.")

    def _check_tls(self) -> None:
        given = [
            name
            for name in ("certificate", "key", "key_passphrase", "certificate_authorities", "cipher_suites")
            if getattr(self, f"ssl_{name}")
        ]
        authentication = self.ssl_client_authentication
        if not self.ssl_enabled:
            # A user who gives these and forgets the switch must not find out from a network trace.
            _require(not given, f"--ssl_{given[0] if given else ''} needs --ssl_enabled.")
            _require(authentication == "none", "--ssl_client_authentication needs --ssl_enabled.")
            return
        _require(self.ssl_certificate is not None, "--ssl_enabled needs --ssl_certificate.")
        _require(self.ssl_key is not None, "--ssl_enabled needs --ssl_key.")
        _require(
            authentication in CLIENT_AUTHENTICATION,
            f"--ssl_client_authentication {authentication!r} is none of {', '.join(CLIENT_AUTHENTICATION)}.",
        )
        _require(
            (authentication != "none") == bool(self.ssl_certificate_authorities),
            "--ssl_client_authentication optional or required and --ssl_certificate_authorities go together: "
            "give both or neither.",
        )
        _require(bool(self.ssl_supported_protocols), "--ssl_supported_protocols is empty.")
        for version in self.ssl_supported_protocols:
            _require(
                version in PROTOCOLS,
                f"--ssl_supported_protocols {version!r} is none of {', '.join(PROTOCOLS)}.",
            )

    def part(self, shares: Shares) -> "BeatsOptions":
        """Gives the options of one of the processes that share the job: the same port, and a part of each bound."""
        if shares.processes == 1:
            return self
        return dataclasses.replace(
            self,
            share_port=True,
            max_pending_records=shares.part(self.max_pending_records),
            max_pending_bytes=shares.part(self.max_pending_bytes, least=self.max_frame_bytes),
            max_connections=shares.part(self.max_connections),
        )

    def tls_files(self) -> TlsFiles | None:
        """Gives the options of TLS; None when it is off."""
        if not self.ssl_enabled or self.ssl_certificate is None or self.ssl_key is None:
            return None
        return TlsFiles(
            self.ssl_certificate,
            self.ssl_key,
            self.ssl_key_passphrase,
            self.ssl_certificate_authorities,
            self.ssl_client_authentication,
            self.ssl_supported_protocols,
            self.ssl_cipher_suites,
        )

    def enrich_kinds(self) -> tuple[str, ...]:
        """Gives the kinds of metadata to add, each by its name."""
        if "all" in self.enrich:
            return KINDS
        return tuple(kind for kind in self.enrich if kind not in ("none", "codec_metadata"))

    def limits(self) -> Limits:
        """Gives the limits that the protocol core enforces. A stretch is at most half of what may be pending."""
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
