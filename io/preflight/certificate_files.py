"""`certificate_files` loads certificates and keys from PEM files, and says which option and which file is wrong.

OpenSSL says "PEM lib" for most mistakes, asks for a passphrase on the terminal, and waits for whoever writes into a pipe. So
each file is looked at first.
"""

import os
import ssl
import stat
from pathlib import Path
from typing import NoReturn

from penstock.io.errors import OptionError

__all__ = ["load_authorities", "load_own"]

_MOST_BYTES = 16 << 20
_SHOWN = 200


def load_authorities(context: ssl.SSLContext, option: str, path: str) -> None:
    """Lets a context trust the authorities of a file.

    Raises:
        OptionError: the file can't be read, or holds no certificate; the text names option and file.
    """
    _read(option, path)
    try:
        context.load_verify_locations(path)
    except ssl.SSLError as error:
        _refuse(option, path, "holds no certificate in PEM form, or a damaged one", error)


def load_own(
    context: ssl.SSLContext,
    certificate: tuple[str, str],
    key: tuple[str, str],
    passphrase: tuple[str, str | None] | None = None,
) -> None:
    """Gives a context its own certificate, with its key.

    Args:
        context: gets them.
        certificate: the option, and the file that it names.
        key: the same.
        passphrase: the option, and what it says; None where there is no such option.

    Raises:
        OptionError: a file can't be read or isn't what it should be, the passphrase is wrong, or the key belongs to
            another certificate. The text names option and file.
    """
    if b"-----BEGIN CERTIFICATE-----" not in _read(*certificate):
        _refuse(*certificate, "holds no certificate in PEM form")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(certificate[1])
    except ssl.SSLError as error:
        _refuse(*certificate, "holds a damaged certificate", error)
    content = _read(*key)
    if b"PRIVATE KEY-----" not in content:
        _refuse(*key, "holds no private key in PEM form")
    encrypted = b"ENCRYPTED" in content
    option, opens = passphrase or ("", None)
    if encrypted and not opens:
        advice = f"give {option} too" if option else "give one without a passphrase"
        _refuse(*key, f"is encrypted: {advice}")
    try:
        # Without a password given here, OpenSSL would ask for it on the terminal.
        context.load_cert_chain(certificate[1], key[1], opens or "")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            problem = f"is not the key of the certificate in {certificate[1]}"
        elif encrypted:
            problem = f"can't be opened with {option}"
        else:
            problem = "is damaged"
        _refuse(*key, problem, error)
    except ValueError as error:
        _refuse(*key, f"can't be opened with {option}", error)


def _read(option: str, path: str) -> bytes:
    try:
        if not stat.S_ISREG((found := os.stat(path)).st_mode) and not stat.S_ISDIR(found.st_mode):
            _refuse(option, path, "is no regular file")
        if found.st_size > _MOST_BYTES:
            _refuse(option, path, f"has {found.st_size} bytes, which is no file of certificates")
        return Path(path).read_bytes()
    except OSError as error:
        _refuse(option, path, f"can't be read: {error.strerror}", error)
    except ValueError as error:
        _refuse(option, path, f"can't be read: {error}", error)


def _refuse(option: str, path: str, problem: str, cause: Exception | None = None) -> NoReturn:
    shown = path if len(path) <= _SHOWN else f"{path[:_SHOWN]}..."
    message = f"{option} {shown}: {problem}."
    raise OptionError(message) from cause
