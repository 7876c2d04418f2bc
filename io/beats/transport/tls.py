"""`tls` makes the TLS contexts of the Beats server from certificate files, and reads them again when they change.

Problem. Certificates are renewed every few weeks, and a server that must be restarted for it will be forgotten.
A wrong file must end the job at its start, naming the file; a wrong file later must not end anything.

Plan. `load` builds a context, and says which of the files is to blame when it can't. `ReloadingTls` looks at the
files' time stamps when a client connects, at most once per second, and keeps the last good context, with one log
line, when the new files are wrong.

Cipher suites are given by the names that Logstash takes (`TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384`) or by OpenSSL's
own (`ECDHE-RSA-AES256-GCM-SHA384`). Python can't choose among the suites of TLS 1.3; where only some are listed,
a connection that settled on another one is closed after its handshake (`refused_suite`).
"""

import dataclasses
import logging
import os
import re
import ssl
import time
from collections.abc import Callable, Sequence

from penstock.io.errors import OptionError
from penstock.io.preflight.certificate_files import load_authorities, load_own

__all__ = ["ReloadingTls", "TlsFiles", "load", "openssl_name"]

_LOGGER = logging.getLogger(__name__)

PROTOCOLS = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}
CLIENT_AUTHENTICATION = {
    "none": ssl.CERT_NONE,
    "optional": ssl.CERT_OPTIONAL,
    "required": ssl.CERT_REQUIRED,
}
_SUITES_OF_1_3 = ("TLS_AES_", "TLS_CHACHA20_")
_LOOK_AGAIN_S = 1.0


@dataclasses.dataclass(frozen=True)
class TlsFiles:
    """The options of TLS; each attribute is the option `ssl_...` of that name.

    Attributes:
        certificate: PEM file of the server's certificate, with the intermediate ones behind it.
        key: PEM file of its private key, PKCS#8 or PKCS#1.
        key_passphrase: opens the key, if it is encrypted.
        certificate_authorities: PEM files of those who sign clients' certificates.
        client_authentication: none, optional or required.
        supported_protocols: some of TLSv1.2 and TLSv1.3.
        cipher_suites: names; empty for OpenSSL's default.
    """

    certificate: str
    key: str
    key_passphrase: str | None = dataclasses.field(default=None, repr=False)
    certificate_authorities: Sequence[str] = ()
    client_authentication: str = "none"
    supported_protocols: Sequence[str] = tuple(PROTOCOLS)
    cipher_suites: Sequence[str] = ()


def load(files: TlsFiles) -> ssl.SSLContext:
    """Makes a server's context.

    Raises:
        OptionError: a file can't be read or isn't what it should be, the passphrase is wrong, the key belongs to
            another certificate, or a cipher suite has no such name. The text names option and file.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # A client could make a TLS 1.2 server compute for ever; Beats never ask for it.
    context.options |= ssl.OP_NO_RENEGOTIATION
    _choose_suites(context, files)
    load_own(
        context,
        ("--ssl_certificate", files.certificate),
        ("--ssl_key", files.key),
        ("--ssl_key_passphrase", files.key_passphrase),
    )
    context.verify_mode = CLIENT_AUTHENTICATION[files.client_authentication]
    for path in files.certificate_authorities:
        load_authorities(context, "--ssl_certificate_authorities", path)
    return context


def openssl_name(suite: str) -> str:
    """Gives OpenSSL's name of a suite that the TLS registry calls `TLS_..._WITH_...`; other names stay as they are."""
    match = re.fullmatch(r"TLS_(\w+)_WITH_(\w+)", suite)
    if match is None:
        return suite
    exchange, cipher = match.groups()
    parts = [] if exchange == "RSA" else [exchange.replace("_", "-")]
    cipher = re.sub(r"AES_(\d+)", r"AES\1", cipher)
    cipher = re.sub(r"(AES\d+)_CBC", r"\1", cipher)
    cipher = cipher.replace("CHACHA20_POLY1305_SHA256", "CHACHA20_POLY1305")
    return "-".join([*parts, cipher.replace("CHACHA20_POLY1305", "CHACHA20-POLY1305").replace("_", "-")])


def _choose_suites(context: ssl.SSLContext, files: TlsFiles) -> None:
    versions = sorted(PROTOCOLS[name] for name in files.supported_protocols)
    older = [suite for suite in files.cipher_suites if not suite.startswith(_SUITES_OF_1_3)]
    if files.cipher_suites:
        newer = len(older) < len(files.cipher_suites)
        versions = [v for v in versions if (newer if v == ssl.TLSVersion.TLSv1_3 else bool(older))]
    if not versions:
        message = "--ssl_cipher_suites and --ssl_supported_protocols have nothing in common."
        raise OptionError(message)
    context.minimum_version, context.maximum_version = versions[0], versions[-1]
    for suite in older:
        try:
            context.set_ciphers(openssl_name(suite))
        except ssl.SSLError as error:
            message = f"--ssl_cipher_suites: {suite} is no cipher suite that OpenSSL has here."
            raise OptionError(message) from error
    if older:
        context.set_ciphers(":".join(map(openssl_name, older)))


class ReloadingTls:
    """Keeps the current context of some files. Safe from any thread.

    Args:
        files: the options.
        clock: seconds that only grow.
    """

    def __init__(self, files: TlsFiles, clock: Callable[[], float] = time.monotonic) -> None:
        self._files = files
        self._clock = clock
        self._seen = self._stamps()
        self._context = load(files)
        self._look_at = clock() + _LOOK_AGAIN_S
        listed = [suite for suite in files.cipher_suites if suite.startswith(_SUITES_OF_1_3)]
        self._suites_of_1_3 = frozenset(listed)

    def context(self) -> ssl.SSLContext:
        """Gives the context for a client that connects now."""
        now = self._clock()
        if now < self._look_at:
            return self._context
        self._look_at = now + _LOOK_AGAIN_S
        stamps = self._stamps()
        if stamps != self._seen:
            self._seen = stamps
            try:
                self._context = load(self._files)
                _LOGGER.info("read %s and %s again", self._files.certificate, self._files.key)
            except OptionError as error:
                _LOGGER.error(
                    "the TLS files have changed, but can't be used; the old ones stay in use: %s", error
                )
        return self._context

    def refused_suite(self, cipher: str) -> bool:
        """Whether a connection settled on a suite of TLS 1.3 that isn't listed though others are."""
        return bool(self._suites_of_1_3) and cipher.startswith("TLS_") and cipher not in self._suites_of_1_3

    def _stamps(self) -> list[tuple[int, int, int] | None]:
        stamps: list[tuple[int, int, int] | None] = []
        for path in (self._files.certificate, self._files.key, *self._files.certificate_authorities):
            try:
                status = os.stat(path)
                stamps.append((status.st_ino, status.st_mtime_ns, status.st_size))
            except OSError:
                stamps.append(None)  # a file is being replaced: look again in a second
        return stamps
