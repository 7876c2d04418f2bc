"""`prometheus` gets a real Prometheus and its `promtool`: those on the PATH, else Debian's package, once, into the cache.

The package is only downloaded and unpacked, not installed: apt-get works in a folder of its own (lists of packages too), so
that this needs no root, leaves no service behind, and touches nothing of the system. apt-get verifies what it downloads.
"""

import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

from local.processes import LocalError, Process
from local.servers.cache import cache_folder, locked, wait_for
from local.terminal import Progress

__all__ = ["Prometheus", "find_prometheus"]


class Prometheus(NamedTuple):
    """The two programs."""

    server: Path
    promtool: Path


def find_prometheus(progress: Progress) -> Prometheus:
    """Both programs; raises `LocalError` where they can't be had."""
    installed = shutil.which("prometheus"), shutil.which("promtool")
    if installed[0] and installed[1]:
        return Prometheus(Path(installed[0]), Path(installed[1]))
    home = cache_folder() / "prometheus"
    if not home.is_dir():
        progress.begin("waiting for another run's download of Prometheus")
        with locked(cache_folder() / "prometheus.lock", progress):
            if not home.is_dir():
                _download(home, progress)
    return Prometheus(home / "usr" / "bin" / "prometheus", home / "usr" / "bin" / "promtool")


def _download(home: Path, progress: Progress) -> None:
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        message = (
            "a real Prometheus comes from Debian's or Ubuntu's package here. Elsewhere: unpack the archive of "
            "https://prometheus.io/download, and put the folder with prometheus and promtool on the PATH."
        )
        raise LocalError(message)
    progress.begin("downloading Debian's Prometheus (20 MB, once)")
    work = Path(tempfile.mkdtemp(prefix="download-prometheus-", dir=cache_folder()))
    work.chmod(0o755)
    (work / "lists" / "partial").mkdir(parents=True)
    own = (f"-oDir::State::lists={work / 'lists'}", f"-oDir::Cache={work}", "-oAPT::Sandbox::User=")

    def run(program: str, *arguments: str | Path) -> None:
        process = Process(program, [program, *map(str, arguments)], work / "log", cwd=work)
        try:
            wait_for(process, lambda: progress.update(""))
            if process.exit_code:
                message = "Prometheus could not be downloaded: check the network and apt's sources."
                raise LocalError(message + process.last_words())
        finally:
            process.kill()

    try:
        run("apt-get", "-q", *own, "update")
        run("apt-get", "-q", *own, "download", "prometheus")
        run("dpkg-deb", "-x", *work.glob("prometheus_*.deb"), work / "unpacked")
        (work / "unpacked").rename(home)
        progress.done(f"Prometheus is in {home}")
    finally:
        shutil.rmtree(work, ignore_errors=True)
