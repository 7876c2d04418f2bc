"""`cache` says where downloads and the servers' files live, and downloads Elasticsearch from Maven Central.

Outside the checkout (`PENSTOCK_CACHE`), so that clones share it. Elasticsearch refuses to run as root and
becomes another user, who must be able to reach it: root's cache is under /var/cache, not under its home.

Two runs at once: a file lock lets one download, everything is unpacked under a temporary name and renamed
when complete, so a folder with the final name is whole, whatever was killed meanwhile.
"""

import contextlib
import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from local.processes import LocalError, Process, as_user
from local.servers.java import MINIMUM_JAVA, find_java_home, find_maven
from local.terminal import Progress, human_bytes

__all__ = [
    "SERVER_USER",
    "cache_folder",
    "drop_leftovers",
    "find_elasticsearch",
    "locked",
    "new_run_folder",
    "require_machine",
    "size_of",
    "wait_for",
]

ELASTICSEARCH = "elasticsearch-9.4.3"
DOWNLOAD_BYTES = 973_000_000  # the zip (947 MB) and Maven's own plugins
UNPACKED_BYTES = 143_000_000
FREE_BYTES = 2_500_000_000  # both, Maven's temporary copies, and room for the servers' data
DOWNLOAD_TIMEOUT_S = 3600.0
KEPT_RUNS = 5
RUN_AGE_S = 3600.0

SERVER_USER = "nobody" if os.geteuid() == 0 else None
"""Who runs Elasticsearch: another user when we are root."""


def cache_folder() -> Path:
    """`PENSTOCK_CACHE`, else penstock's folder in the user's cache (root: /var/cache/penstock); made if needed."""
    given = os.environ.get("PENSTOCK_CACHE")
    if given:
        folder = Path(given).expanduser().absolute()
    elif os.geteuid() == 0:
        folder = Path("/var/cache/penstock")
    else:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "penstock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"cannot make the cache folder {folder}: {error.strerror}. Name another by PENSTOCK_CACHE."
        raise LocalError(message) from error
    if SERVER_USER is not None:
        reach = subprocess.run(as_user(SERVER_USER, ["test", "-x", folder]), check=False, cwd="/")
        if reach.returncode:
            message = (
                f"the cache folder {folder} can't be reached by the user {SERVER_USER}, as whom Elasticsearch runs "
                "(it refuses root). Name one outside root's home by PENSTOCK_CACHE, such as /var/cache/penstock."
            )
            raise LocalError(message)
    return folder


def new_run_folder(name: str) -> Path:
    """A new folder for one run's logs and data; of the older ones, the newest few are kept."""
    runs = cache_folder() / "runs"
    runs.mkdir(exist_ok=True)
    old = sorted(runs.iterdir(), key=lambda folder: folder.stat().st_mtime, reverse=True)
    for folder in old[KEPT_RUNS:]:
        # A young one may belong to a run beside us.
        if time.time() - folder.stat().st_mtime > RUN_AGE_S and not (folder / "up.json").exists():
            shutil.rmtree(folder, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-{time.strftime('%H%M%S')}-", dir=runs))
    folder.chmod(0o755)
    return folder


def require_machine(name: str, java: tuple[int, int], needed_bytes: int) -> Path:
    """Gives a Java for a server, once this machine has all that it takes to fetch and run it.

    Args:
        name: the server's, and its folder's in the cache.
        java: the oldest and the newest Java that runs it.
        needed_bytes: of disk, for a download.

    Raises:
        LocalError: something is missing; all of it is named, each with the way to get it.
    """
    lacks = []
    oldest, newest = java
    home, others = find_java_home(oldest, newest)
    if home is None:
        found = f" (found only {', '.join(others)})" if others else ""
        package = f"openjdk-{oldest}-jdk-headless"
        lacks.append(
            f"a JDK {oldest} {'or newer' if newest == 99 else f'to {newest}'}{found}: Debian, Ubuntu: apt-get install "
            f"{package}; elsewhere unpack one from https://adoptium.net and set ES_JAVA_HOME to its folder"
        )
    if not (cache_folder() / name).is_dir():
        if find_maven() is None:
            lacks.append("Maven, to fetch it: Debian, Ubuntu: apt-get install maven")
        free = shutil.disk_usage(cache_folder()).free
        if free < needed_bytes:
            lacks.append(
                f"disk space: {human_bytes(needed_bytes)} in {cache_folder()}, where {human_bytes(free)} are free: "
                "make room, or name another folder by PENSTOCK_CACHE"
            )
    if home is None or lacks:
        lines = "".join(f"\n  - {each}" for each in lacks)
        message = (
            f"a real {name} needs what this machine lacks:{lines}\n"
            "Or let ELASTICSEARCH_HOSTS name a server that runs already, such as http://127.0.0.1:9200."
        )
        raise LocalError(message)
    return home


def find_elasticsearch(progress: Progress) -> tuple[Path, Path]:
    """The unpacked Elasticsearch and a JDK for it, downloaded if it isn't in the cache yet.

    Raises:
        LocalError: this machine lacks something (all of it is named), or the download failed.
    """
    java_home = require_machine(ELASTICSEARCH, (MINIMUM_JAVA, 99), FREE_BYTES)
    home = cache_folder() / ELASTICSEARCH
    if not home.is_dir():
        progress.begin("waiting for another run's download of Elasticsearch")
        with locked(cache_folder() / "download.lock", progress):
            if not home.is_dir():
                _download(home, java_home, progress)
    return home, java_home


@contextlib.contextmanager
def locked(path: Path, progress: Progress) -> Iterator[None]:
    """Holds the file's lock: of several runs, one downloads."""
    with path.open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                progress.update("")
                time.sleep(0.2)
        yield


def _download(home: Path, java_home: Path, progress: Progress) -> None:
    """Maven fetches and unpacks into a temporary folder; its repository of 1 GB goes when that is done."""
    cache = cache_folder()
    drop_leftovers("download-")
    work = Path(tempfile.mkdtemp(prefix="download-", dir=cache))
    repository, unpacked = work / "maven", work / "elasticsearch"
    shutil.copy(Path(__file__).parent / "elasticsearch" / "pom.xml", work)
    command = [
        find_maven() or "mvn",
        *("-B", "-ntp", f"-Dmaven.repo.local={repository}", f"-Delasticsearch.folder={unpacked}"),
        "generate-resources",
    ]
    progress.begin("downloading Elasticsearch 9.4.3 from Maven Central (947 MB, once)")
    maven = Process(
        "Maven", command, cache / "download.log", environment={"JAVA_HOME": str(java_home)}, cwd=work
    )
    try:

        def tell() -> None:
            done = size_of(unpacked)
            if done:
                progress.update(f"unpacked {human_bytes(done)} of {human_bytes(UNPACKED_BYTES)}")
            else:
                share = min(1.0, size_of(repository) / DOWNLOAD_BYTES)
                bar = "#" * round(20 * share)
                progress.update(f"[{bar:<20}] {human_bytes(share * DOWNLOAD_BYTES)}")

        wait_for(maven, tell)
        if maven.exit_code or not (unpacked / "lib").is_dir():
            message = "Elasticsearch could not be downloaded: check the network and Maven's settings."
            raise LocalError(message + maven.last_words())
        (unpacked / "plugins").mkdir(exist_ok=True)
        for path in (unpacked, *unpacked.rglob("*")):
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))
        unpacked.rename(home)
        progress.done(f"Elasticsearch 9.4.3 is in {home}; Maven's 1 GB of downloads is dropped again")
    finally:
        maven.kill()
        shutil.rmtree(work, ignore_errors=True)


def drop_leftovers(prefix: str) -> None:
    """Removes temporary folders of that name, of runs that were killed. The caller holds the lock of that download."""
    for leftover in cache_folder().glob(
        f"{prefix}????????/"
    ):  # as `mkdtemp` ends them; others begin like that too
        shutil.rmtree(leftover, ignore_errors=True)


def wait_for(download: Process, tell: Callable[[], None]) -> None:
    """Returns when a download has ended, however; calls `tell` meanwhile. Raises `LocalError` after an hour."""
    deadline = time.monotonic() + DOWNLOAD_TIMEOUT_S
    while download.alive:
        if time.monotonic() > deadline:
            message = f"{download.name} has not finished within {DOWNLOAD_TIMEOUT_S / 60:g} minutes."
            raise LocalError(message + download.last_words())
        tell()
        time.sleep(0.25)


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder that others are writing to."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(parent, name)).st_size
    return total
