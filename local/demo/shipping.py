"""`shipping` sends the lines by a real Filebeat, or by our own small Beats client.

Filebeat gets a configuration and a registry of its own in the run's folder, and ships whole files: what a log
gains meanwhile arrives too. Our client stops exactly where `LogFile.end` says.
"""

import contextlib
import json
import shutil
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from local.demo import beats_client, evidence
from local.demo.logs import LogFile
from local.processes import Process
from local.servers import go_programs
from local.terminal import Progress

__all__ = ["Shipped", "Shipper", "find_filebeat", "start"]

FILEBEAT_STOP_S = 20.0


class Shipped(NamedTuple):
    """What the shipper says in the end; None where it doesn't tell."""

    acknowledged: int | None
    resent: int | None


class Shipper(Protocol):
    """A shipper at work."""

    name: str

    @property
    def acknowledged(self) -> int | None:
        """Events acknowledged so far; None when it doesn't tell."""

    @property
    def complete(self) -> bool:
        """Whether all that it knows of is acknowledged, as far as it tells."""

    @property
    def failure(self) -> str | None:
        """Why it gave up, if it did."""

    def finish(self) -> Shipped:
        """Ends it, and says how much was acknowledged."""

    def kill(self) -> None:
        """Ends it at once."""


def find_filebeat(progress: Progress, *, build: bool) -> Path | None:
    """The Filebeat on the PATH, or the one that is built if it must be; raises `LocalError` where that fails."""
    if build or shutil.which("filebeat"):
        return go_programs.find_filebeat(progress)
    return None


@contextlib.contextmanager
def start(files: Sequence[LogFile], port: int, folder: Path, filebeat: Path | None) -> Iterator[Shipper]:
    """Ships the files' lines to 127.0.0.1:`port` until the block ends; without a Filebeat by our own client."""
    shipper: Shipper = _Filebeat(str(filebeat), files, port, folder) if filebeat else _Client(files, port)
    try:
        yield shipper
    finally:
        shipper.kill()


class _Filebeat:
    """A Filebeat with a configuration of our own."""

    name = "filebeat"
    acknowledged = None  # it tells only at its end
    complete = True

    def __init__(self, program: str, files: Sequence[LogFile], port: int, folder: Path) -> None:
        self._folder = folder / "filebeat"
        self._folder.mkdir()
        config = self._folder / "filebeat.yml"
        config.write_text(json.dumps(configuration(files, port, self._folder)))  # JSON is YAML
        config.chmod(0o600)  # it refuses a configuration that others may write
        self._process = Process("filebeat", [program, "-e", "-c", str(config)], self._folder / "filebeat.log")

    @property
    def failure(self) -> str | None:
        code = self._process.exit_code
        return None if code is None else f"filebeat ended with exit code {code}." + self._process.last_words()

    def finish(self) -> Shipped:
        self._process.stop(FILEBEAT_STOP_S)
        log = self._process.log.read_text(errors="replace")
        return Shipped(evidence.acknowledged_by_filebeat(log), None)

    def kill(self) -> None:
        self._process.kill()


def configuration(files: Sequence[LogFile], port: int, folder: Path) -> dict[str, object]:
    """Filebeat's configuration, good for 7.14 and later: these files from their beginning, to one output."""
    return {
        "filebeat.inputs": [
            {
                "type": "filestream",
                "id": "penstock-demo",
                "enabled": True,
                "paths": [str(file.path) for file in files],
                # 9.x names files by a fingerprint of 1024 bytes by default, and leaves smaller ones out.
                "prospector.scanner.fingerprint.enabled": False,
                "file_identity.native": None,
            }
        ],
        "output.logstash": {"hosts": [f"127.0.0.1:{port}"]},
        "path.home": str(folder),
        "path.data": str(folder / "data"),
        "path.logs": str(folder / "logs"),
        "logging.to_stderr": True,
        "setup.ilm.enabled": False,
        "setup.template.enabled": False,
    }


class _Client:
    """Our own client, in a thread."""

    name = "our Beats client"

    def __init__(self, files: Sequence[LogFile], port: int) -> None:
        self.failure: str | None = None
        self.complete = False
        self._shipper = beats_client.Shipper(
            "127.0.0.1", port, [beats_client.Source(file.path, file.end) for file in files]
        )
        self._thread = threading.Thread(target=self._run, name="shipper", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._shipper.run()
            self.complete = True
        except Exception as error:
            self.failure = f"the Beats client failed: {type(error).__name__}: {error}"

    @property
    def acknowledged(self) -> int | None:
        return self._shipper.counts.acknowledged

    def finish(self) -> Shipped:
        self.kill()
        counts = self._shipper.counts
        return Shipped(counts.acknowledged, counts.resent)

    def kill(self) -> None:
        self._shipper.stop()
        self._thread.join(timeout=10)
