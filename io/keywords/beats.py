"""`beats` gives editors and mypy the keywords of `ReadFromBeats`.

Made by docs/make_keywords.py from the options classes; change them there.
"""

from collections.abc import Sequence
from typing import Literal, TypedDict

__all__ = ["ReadKeywords"]


class ReadKeywords(TypedDict, total=False):
    """Keywords of `ReadFromBeats`."""

    host: str
    """Address to listen on. 0.0.0.0 means all interfaces (Logstash's default); give it only on purpose. Default: 127.0.0.1.
    """

    beats_host: str
    """The same as `host`."""

    port: int
    """TCP port to listen on. Default: 5044."""

    beats_port: int
    """The same as `port`."""

    max_pending_records: int
    """Most events read but not yet written. At this bound sockets are not read (back-pressure, never loss). More means
    fuller writes and more memory. Default: 1000.
    """

    max_pending_bytes: int
    """The same bound in bytes of memory. All unfinished frames together may hold as much, and inflated ones half of it.
    Default: 67108864.
    """

    record_max_buffered_time: int
    """Milliseconds that events may wait for a fuller batch; longer is cheaper, shorter is quicker. Default: 100."""

    client_inactivity_timeout: float
    """Seconds until a client that sends nothing and waits for nothing is disconnected; 0: never. Default: 60.0."""

    keepalive_interval: float
    """Seconds between keep-alives to a client that waits for an acknowledgement. Default: 3.0."""

    ssl_enabled: bool
    """Whether clients must speak TLS. Default: False."""

    ssl_certificate: str | None
    """PEM file of the server's certificate, with intermediate ones behind it. Read again when it changes."""

    ssl_key: str | None
    """PEM file of its private key, PKCS#8 or PKCS#1."""

    ssl_key_passphrase: str | None
    """Passphrase of the key, if it is encrypted."""

    ssl_certificate_authorities: str | Sequence[str]
    """PEM files of the authorities that sign clients' certificates."""

    ssl_client_authentication: Literal["none", "optional", "required"]
    """Whether clients show a certificate. One of none, optional, required. Default: none."""

    ssl_supported_protocols: str | Sequence[str]
    """TLS versions allowed, with none left out between them. Default: TLSv1.2, TLSv1.3."""

    ssl_cipher_suites: str | Sequence[str]
    """Cipher suites allowed, by their registered or OpenSSL's names; else OpenSSL's default."""

    ssl_handshake_timeout: int
    """Milliseconds for a client's TLS handshake, and for its PROXY header. Default: 10000."""

    proxy_protocol: bool
    """Whether a load balancer puts a PROXY header (version 1 or 2) in front of each connection. Its header decides the
    client's address, so let nobody else reach the port. Default: False.
    """

    validate: bool
    """Whether events that are no JSON objects become dead letters (and are acknowledged). Parses each event. Default: False.
    """

    enrich: str | Sequence[str]
    """What to add to each event's @metadata: source_metadata (the client's address), ssl_peer_metadata, all or none.
    codec_metadata adds nothing here. What is no JSON object becomes a dead letter.
    """

    share_port: bool
    """Whether several processes of this user may listen on the port (SO_REUSEPORT), for Beam workers on one host. Without
    it, a second job on the port is refused at its start; with it, nobody notices the second job. Default: False.
    """

    beats_share_port: bool
    """The same as `share_port`."""

    readers: int
    """How many Beam workers read, each process listening on the shared port. 0: as many as the runner's --parallelism;
    DirectRunner has one. Default: 0.
    """

    beats_readers: int
    """The same as `readers`."""

    max_connections: int
    """Clients connected at the same time; a further one is refused. Default: 2000."""

    max_window_size: int
    """Events in a window (bulk_max_size of the Beat). Default: 100000."""

    max_frame_bytes: int
    """Bytes of one event, or of one compressed frame before inflating. Default: 16777216."""

    max_inflated_bytes: int
    """Bytes that a compressed frame may become; checked while inflating. Default: 67108864."""

    max_inflate_ratio: int
    """How many times its length a compressed frame may become, beyond 8 MiB. Default: 100."""

    max_nesting: int
    """How deep compressed frames may be nested; Beats never nest them. Default: 2."""
