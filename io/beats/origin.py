"""`BeatsClient` tells where a Beats event came from: the client on the other end of its connection."""

import time

import msgspec

__all__ = ["BeatsClient", "client_at"]


class BeatsClient(msgspec.Struct, frozen=True):
    """One client's connection; all events of the connection share this object.

    Attributes:
        address: the client's IP address (as the PROXY header says, where one is expected).
        port: its port there.
        tls_version: such as `TLSv1.3`; None without TLS.
        tls_cipher: the cipher suite.
        tls_subject: the subject of the client's certificate, verified; None when it showed none.
    """

    address: str
    port: int
    tls_version: str | None = None
    tls_cipher: str | None = None
    tls_subject: str | None = None

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"

    @property
    def arrived_ms(self) -> int:
        """The time now, in milliseconds since 1970, because the protocol carries no time and events don't wait long."""
        return int(time.time() * 1000)

    def position(self) -> bytes | None:
        """None, because an event that a Beat sends again comes over another connection, at another place."""
        return None

    def describe(self) -> dict[str, str | int]:
        """Gives the client in words."""
        words: dict[str, str | int] = {"source": "beats", "client": str(self)}
        for name in ("tls_version", "tls_cipher", "tls_subject"):
            if (value := getattr(self, name)) is not None:
                words[name] = value
        return words


def client_at(address: str, port: int) -> BeatsClient:
    """Gives the client of a socket's address. An IPv4 client of a listener on `::` is shown as IPv4."""
    if address.lower().startswith("::ffff:") and "." in address:
        address = address[7:]
    return BeatsClient(address, port)
