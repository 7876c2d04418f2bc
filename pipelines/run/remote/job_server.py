"""`job_server` reads out of Beam's job server which Flink it is for. The jar holds the version of the Flink in it."""

import re
import zipfile

from penstock.io.errors import OptionError

__all__ = ["flink_version_of"]

_PROPERTIES = ".flink-runtime.version.properties"
_MAX_PROPERTIES = 1 << 16


def flink_version_of(jar: str) -> str:
    """Gives the version of the Flink in a job server's jar, `1.19.0`; empty where the jar is at an address, or doesn't say.

    Raises:
        OptionError: there is no such file, or it is no jar.
    """
    if re.match(r"[a-z0-9]{2,}:", jar) and not jar.startswith("file:"):
        return ""
    try:
        with zipfile.ZipFile(jar.removeprefix("file://")) as archive, archive.open(_PROPERTIES) as file:
            text = file.read(_MAX_PROPERTIES).decode(errors="replace")
    except KeyError:
        return ""
    except (OSError, zipfile.BadZipFile) as error:
        message = f"--flink_job_server_jar={jar}: {error}. It must be the job server's jar."
        raise OptionError(message) from error
    found = re.search(r"^project\.version=(\S+)$", text, re.MULTILINE)
    return found[1] if found else ""
