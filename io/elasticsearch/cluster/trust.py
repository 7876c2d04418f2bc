"""`Trust` decides which servers we trust: by authorities, or by one certificate that is pinned.

A pinned certificate (`--ca_trusted_fingerprint`) is taken from the chain that a server presents, in a handshake in which
nothing is sent. Anybody can present it, so that proves nothing yet. From then on it is the only anchor: each connection
for a request verifies its whole chain against it, and the host's name. The fingerprint fixes every bit of the
certificate, so it is looked for once, whoever presents it.

- An authority, an intermediate and the server's own certificate can be pinned alike.
- Where `--ssl_certificate_authorities` are given, only they are trusted; else the system's and certifi's.
- The proxy's own TLS is verified by the same authorities, never by the pin, which is for the cluster.
"""

import hashlib
import ssl
import threading
from collections.abc import Iterable

import certifi

from penstock.io.elasticsearch.options import ElasticsearchOptions
from penstock.io.preflight.certificate_files import load_authorities, load_own

__all__ = ["Trust"]


class Trust:
    """The TLS contexts of one cluster. Safe from any thread.

    Args:
        options: the options of the sink.
    """

    def __init__(self, options: ElasticsearchOptions) -> None:
        self._options = options
        pin = options.ca_trusted_fingerprint
        self._pin = bytes.fromhex(pin.replace(":", "")) if pin else None
        self._lock = threading.Lock()
        self._context: ssl.SSLContext | None = None
        if self._pin is None and (options.ssl_certificate_authorities or options.ssl_certificate):
            self._context = self._by_authorities()  # a file that is wrong is said now
        elif options.ssl_certificate:
            self._finished(_bare())

    @property
    def context(self) -> ssl.SSLContext | None:
        """The context that verifies a node; None while the pinned certificate has not been seen."""
        if self._context is None and self._pin is None:
            with self._lock:  # only who speaks TLS loads the system's authorities: that takes 50 ms
                self._context = self._context or self._by_authorities()
        return self._context

    def learn(self, chain: Iterable[bytes]) -> None:
        """Looks for the pinned certificate among those that a server presents, in DER form.

        Raises:
            ssl.SSLCertVerificationError: it is not among them.
        """
        found = next((each for each in chain if hashlib.sha256(each).digest() == self._pin), None)
        if found is None:
            message = "no certificate of the server's chain has that fingerprint"
            raise ssl.SSLCertVerificationError(message)
        with self._lock:
            if self._context is None:
                context = _bare()
                context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # an anchor need not be a root
                context.load_verify_locations(cadata=found)
                self._context = self._finished(context)

    def for_proxy(self) -> ssl.SSLContext:
        """Gives the context that verifies an https proxy."""
        context = self._by_authorities()
        if self._options.ssl_verification_mode != "none":
            context.check_hostname = True
        return context

    def _by_authorities(self) -> ssl.SSLContext:
        context, authorities = _bare(), self._options.ssl_certificate_authorities
        if authorities:
            load_authorities(context, "--ssl_certificate_authorities", authorities)
        else:
            context.load_default_certs()
            context.load_verify_locations(cafile=certifi.where())
        return self._finished(context)

    def _finished(self, context: ssl.SSLContext) -> ssl.SSLContext:
        options = self._options
        context.check_hostname = options.ssl_verification_mode == "full"
        if options.ssl_verification_mode == "none":
            context.verify_mode = ssl.CERT_NONE
        if options.ssl_certificate and options.ssl_key:
            load_own(context, ("--ssl_certificate", options.ssl_certificate), ("--ssl_key", options.ssl_key))
        return context


def unverified() -> ssl.SSLContext:
    """Gives the context of the handshake in which nothing is sent: it accepts any chain, to see it."""
    context = _bare()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _bare() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
