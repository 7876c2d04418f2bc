"""`preflight` tries the port of the Beats source, and looks whether its certificate files work and are valid."""

import datetime
from collections.abc import Callable
from pathlib import Path

from penstock.io.beats.options import BeatsOptions
from penstock.io.beats.transport._certificate import validity
from penstock.io.beats.transport.sockets import listen
from penstock.io.beats.transport.tls import TlsFiles, load
from penstock.io.errors import OptionError
from penstock.io.preflight.trials import Finding, Trial, failed, fine, require_quick, warning

__all__ = ["require_listenable", "trials"]

PORT_PATIENCE_S = 2.0
"""Seconds until a taken port is reported: a job that has just ended may hold it for a moment."""
WARN_DAYS = 21
"""Days before a certificate's end from which we warn: automatic renewal happens a month before the end."""

FILES = "Beats TLS files"


def require_listenable(options: BeatsOptions) -> None:
    """Tries, before a job starts, what would otherwise fail later.

    Raises:
        OptionError: the port is taken, the host is no address of this machine, or a TLS file can't be used.
        AccessDenied: this user may not listen on that port.
    """
    require_quick(trials(options))


def trials(
    options: BeatsOptions,
    now: Callable[[], datetime.datetime] = lambda: datetime.datetime.now(datetime.UTC),
) -> list[Trial]:
    """Gives the trials of the TLS files, the certificate's dates and the port; all are quick.

    A job starts even with an expired certificate.
    """
    made = []
    files = options.tls_files()
    if files is not None:
        made.append(Trial(FILES, lambda: _files(files), quick=True))
        made.append(
            Trial(
                "Beats certificate", lambda: _dates(files, now()), quick=True, advisory=True, after=(FILES,)
            )
        )
    made.append(Trial("Beats port", lambda: _port(options), quick=True))
    return made


def _files(files: TlsFiles) -> Finding:
    load(files)
    clients = len(files.certificate_authorities)
    asked = f"; clients show a certificate ({files.client_authentication})" if clients else ""
    return fine(f"{files.key} is the key of {files.certificate}{asked}")


def _dates(files: TlsFiles, now: datetime.datetime) -> Finding:
    try:
        dates = validity(Path(files.certificate).read_bytes())
    except (OSError, ValueError) as error:
        message = f"--ssl_certificate {files.certificate}: {error}."
        raise OptionError(message) from error
    first, last = max(first for first, _ in dates), min(last for _, last in dates)
    days = (last - now).days
    text = f"{files.certificate} is valid until {last:%Y-%m-%d %H:%M} UTC"
    if now > last:
        message = f"--ssl_certificate {files.certificate}: expired on {last:%Y-%m-%d %H:%M} UTC; Beats refuse it. Renew it."
        return failed(OptionError(message))
    if now < first:
        message = f"--ssl_certificate {files.certificate}: not valid before {first:%Y-%m-%d %H:%M} UTC; Beats refuse it."
        return failed(OptionError(message))
    if days < WARN_DAYS:
        return warning(f"{text}: {days} days. Renew it; the job reads it again when the file changes")
    return fine(f"{text} ({days} days)")


def _port(options: BeatsOptions) -> Finding:
    patience_s = PORT_PATIENCE_S
    listen(options.host, options.port, share=options.share_port, accept=False, patience_s=patience_s).close()
    return fine(f"{options.host}:{options.port} is free" + ("" if options.ssl_enabled else "; without TLS"))
