"""`handshake` does what comes before a client's first frame: the PROXY header, then TLS, within a time limit."""

import contextlib
import select
import socket
import ssl
import threading
from collections.abc import Callable

from penstock.io.beats.origin import BeatsClient
from penstock.io.beats.transport.sockets import Transport
from penstock.io.beats.transport.tls import ReloadingTls
from penstock.io.beats.wire import _proxy_protocol as proxy_protocol
from penstock.io.errors import ProtocolError

__all__ = ["TlsTransport", "read_proxy_header", "subject_of"]

_ATTRIBUTES = {
    "commonName": "CN",
    "countryName": "C",
    "localityName": "L",
    "stateOrProvinceName": "ST",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "domainComponent": "DC",
    "userId": "UID",
    "streetAddress": "STREET",
}
"""RFC 4514's short names."""


def read_proxy_header(
    sock: socket.socket, left_s: Callable[[], float], wait: Callable[[float], object]
) -> tuple[str, int] | None:
    """Takes the PROXY header, and not a byte more, from a connection. Gives the client that it names, if any.

    Args:
        sock: the connection; it doesn't block.
        left_s: seconds that are left for it.
        wait: waits that many seconds for something to come.

    Raises:
        ProtocolError: there is no such header, or none in time.
        OSError: the connection is gone.
    """
    begun = b""
    while left_s() > 0:
        try:
            # The bytes are only peeked at: what follows the header belongs to TLS.
            data = sock.recv(proxy_protocol.MAX_HEADER_BYTES, socket.MSG_PEEK)
        except BlockingIOError:
            wait(left_s())
            continue
        if not data:
            message = "closed before its PROXY header"
            raise ConnectionError(message)
        header = proxy_protocol.parse(begun + data)
        # All of an unfinished header is taken, so that the next wait is for more of it. Otherwise 1,000 half headers,
        # looked at 50 times per second, cost 1.2 cores (#16).
        sock.recv(len(data) if header is None else header.length - len(begun))
        if header is not None:
            return header.client
        begun += data
    message = "its PROXY header did not come within --ssl_handshake_timeout."
    raise ProtocolError(message)


def subject_of(certificate: "dict[str, object] | None") -> str | None:
    """Gives the subject of a verified certificate as RFC 4514 writes it (`CN=web-1,O=Example`); None without one."""
    subject = (certificate or {}).get("subject")
    if not isinstance(subject, tuple):
        return None
    names = [f"{_ATTRIBUTES.get(name, name)}={_escaped(value)}" for rdn in subject for name, value in rdn]
    return ",".join(reversed(names)) or None


def _escaped(value: str) -> str:
    return "".join("\\" + letter if letter in ',+"\\<>;' else letter for letter in value)


_CERTIFICATE_ERRORS = {
    7: "its certificate was not signed by the authority that it names",
    9: "its certificate is not valid yet; look at both clocks",
    10: "its certificate has expired; renew it",
    18: "its certificate is signed by itself, and not among --ssl_certificate_authorities",
    19: "its certificate's chain ends with an authority that is not among --ssl_certificate_authorities",
    20: "its certificate's issuer is unknown; let it send the intermediate certificates too, or add the issuer to "
    "--ssl_certificate_authorities",
    23: "its certificate is revoked",
}
"""OpenSSL's codes (x509_vfy.h) -> words that say what to do."""
_CERTIFICATE_ERRORS[21] = _CERTIFICATE_ERRORS[
    20
]  # "unable to verify the first certificate": alone, and unknown


def _why(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _CERTIFICATE_ERRORS.get(
            error.verify_code, f"its certificate is refused ({error.verify_message})"
        )
    if error.reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
        return "it shows no certificate, and --ssl_client_authentication required asks for one"
    return (error.reason or str(error)).lower().replace("_", " ")


class TlsTransport(Transport):
    """One client's connection with TLS.

    A lock keeps its two threads (the connection's own, and the acknowledging one) from using the session at the
    same time: OpenSSL allows one at a time. Nobody waits while holding it.
    """

    def __init__(self, sock: socket.socket, alarm: socket.socket, tls: ReloadingTls) -> None:
        self._tls = tls
        self._lock = threading.Lock()
        self._session = tls.context().wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        self._wants_to_write = False
        super().__init__(self._session, alarm)

    def handshake(self, left_s: Callable[[], float]) -> None:
        """Does the TLS handshake.

        Raises:
            ProtocolError: the client speaks no TLS, showed no certificate that we know, or took too long.
            OSError: the client is gone.
        """
        while True:
            try:
                self._session.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._wants_to_write = False
            except ssl.SSLWantWriteError:
                self._wants_to_write = True
            except ssl.SSLEOFError as error:
                message = "closed during its TLS handshake"
                raise ConnectionError(message) from error
            except ssl.SSLError as error:
                message = f"its TLS handshake failed: {_why(error)}."
                raise ProtocolError(message) from error
            if left_s() <= 0:
                message = "its TLS handshake was not done within --ssl_handshake_timeout."
                raise ProtocolError(message)
            self.wait(min(1.0, left_s()))
        cipher = (self._session.cipher() or ("",))[0]
        if self._tls.refused_suite(cipher):
            message = f"its TLS connection settled on {cipher}, which --ssl_cipher_suites does not list."
            raise ProtocolError(message)

    def peer(self, client: BeatsClient) -> BeatsClient:
        """Gives the client, with what TLS says about it."""
        certificate = self._session.getpeercert()
        return BeatsClient(
            client.address,
            client.port,
            self._session.version(),
            (self._session.cipher() or (None,))[0],
            subject_of(certificate),  # type: ignore[arg-type]
        )

    def receive(self, size: int) -> bytes | None:
        """As without TLS."""
        with self._lock:
            try:
                data = self._session.recv(size)
            except ssl.SSLWantReadError:
                self._wants_to_write = False
                return None
            except ssl.SSLWantWriteError:
                self._wants_to_write = True
                return None
            except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
                return b""
            return data

    def send(self, data: bytes) -> int:
        """As without TLS."""
        with self._lock:
            try:
                return self._session.send(data)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return 0

    def wait(self, timeout_s: float | None) -> bool:
        """As without TLS."""
        self._poll.modify(self._socket, select.POLLIN | (select.POLLOUT if self._wants_to_write else 0))
        return super().wait(timeout_s)

    def _end_sending(self) -> None:
        with self._lock, contextlib.suppress(OSError, ValueError):
            self._session.unwrap()  # sends close_notify; the client's own may come later, or never
        socket.socket.shutdown(self._socket, socket.SHUT_WR)
