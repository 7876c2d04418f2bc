"""`cache` gets the Flink of the tests and of `run_local.sh flink`: the server's jars, and Beam's job server.

Flink's jars come from PyPI, inside the source archive of `apache-flink-libraries` (230 MB to download, of which the
distribution and its logging are kept, 120 MB). The job server, which turns a Beam pipeline into a Flink job, is
built by Maven from Maven Central (163 MB); there is none for our Beam's version, and this one runs it.

As with Elasticsearch (`cache`): one download at a time, made under another name, renamed when it is whole.
"""

import shutil
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from local.processes import LocalError, Process
from local.servers.cache import cache_folder, locked, size_of, wait_for
from local.servers.java import find_java_home, find_maven
from local.terminal import Progress, human_bytes

__all__ = ["FLINK_VERSION", "Flink", "find_flink", "missing_for_flink"]

FLINK_VERSION = "1.19.3"
FLINK = f"flink-{FLINK_VERSION}"
JOB_SERVER = "beam-flink-1.19-job-server-2.70.0-loopback"
MINIMUM_JAVA = 17  # 17 and 25 were tried
FREE_BYTES = 1_500_000_000
_SERVER_DOWNLOAD_BYTES = 230_000_000
_BUILD_BYTES = 500_000_000  # Maven's repository, plug-ins and the jar


class Flink(NamedTuple):
    """What a cluster is started from.

    Attributes:
        jars: the server's class path.
        job_server: Beam's job server, one jar.
        java: the Java program that runs them.
    """

    jars: list[Path]
    job_server: Path
    java: Path


def missing_for_flink() -> list[str]:
    """What this machine lacks to fetch and run Flink, each with the way to get it."""
    lacks = []
    home, others = find_java_home(MINIMUM_JAVA)
    if home is None:
        found = f" (found only {', '.join(others)})" if others else ""
        lacks.append(
            f"a JDK {MINIMUM_JAVA} or newer{found}: Debian, Ubuntu: apt-get install openjdk-17-jdk-headless"
        )
    cache = cache_folder()
    if not (cache / JOB_SERVER).is_dir() and find_maven() is None:
        lacks.append("Maven, to build Beam's job server: Debian, Ubuntu: apt-get install maven")
    if not ((cache / FLINK).is_dir() and (cache / JOB_SERVER).is_dir()):
        free = shutil.disk_usage(cache).free
        if free < FREE_BYTES:
            lacks.append(
                f"disk space: {human_bytes(FREE_BYTES)} in {cache}, where {human_bytes(free)} are free: "
                "make room, or name another folder by PENSTOCK_CACHE"
            )
    return lacks


def find_flink(progress: Progress) -> Flink:
    """Flink and the job server, downloaded if they are not in the cache yet.

    Raises:
        LocalError: this machine lacks something (all of it is named), or a download failed.
    """
    lacks = missing_for_flink()
    if lacks:
        lines = "".join(f"\n  - {each}" for each in lacks)
        message = f"a Flink cluster needs what this machine lacks:{lines}"
        raise LocalError(message)
    java_home, _ = find_java_home(MINIMUM_JAVA)
    assert java_home is not None
    for name, download in ((FLINK, _download_server), (JOB_SERVER, _build_job_server)):
        home = cache_folder() / name
        if not home.is_dir():
            progress.begin(f"waiting for another run's download of {name}")
            with locked(cache_folder() / "download-flink.lock", progress):
                if not home.is_dir():
                    _make(home, download, java_home, progress)
    jars = sorted((cache_folder() / FLINK).glob("*.jar"))
    return Flink(jars, cache_folder() / JOB_SERVER / "job-server.jar", java_home / "bin" / "java")


def _make(
    home: Path, download: Callable[[Path, Path, Progress], None], java_home: Path, progress: Progress
) -> None:
    for leftover in home.parent.glob("flink-download-*/"):
        shutil.rmtree(leftover, ignore_errors=True)  # of a run that was killed: we hold the lock
    work = Path(tempfile.mkdtemp(prefix="flink-download-", dir=home.parent))
    try:
        (work / "home").mkdir()
        download(work, java_home, progress)
        (work / "home").rename(home)
        progress.done(f"{home.name} is in {home.parent}")
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _download_server(work: Path, java_home: Path, progress: Progress) -> None:
    """By pip, which takes the archive apart only to name it; of 400 MB of jars we keep what a cluster runs."""
    package = f"apache-flink-libraries=={FLINK_VERSION}"
    command = [
        *(sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--no-deps"),
        *("--no-binary", "apache-flink-libraries", "--dest", str(work), package),
    ]
    progress.begin(f"downloading Flink {FLINK_VERSION} from PyPI (230 MB, once)")
    # pip writes where TMPDIR says until the archive is complete.
    (work / "tmp").mkdir()
    pip = Process(
        "pip", command, work.parent / "download-flink.log", environment={"TMPDIR": str(work / "tmp")}
    )
    try:
        wait_for(pip, lambda: progress.update(human_bytes(min(size_of(work), _SERVER_DOWNLOAD_BYTES))))
        archives = list(work.glob("*.tar.gz"))
        if pip.exit_code or not archives:
            message = "Flink could not be downloaded: check the network and pip's settings."
            raise LocalError(message + pip.last_words())
    finally:
        pip.kill()
    with tarfile.open(archives[0]) as archive:
        for member in archive:
            name = member.name.rpartition("/")[2]
            if "/deps/lib/" in member.name and name.startswith(("flink-dist-", "log4j-")):
                source = archive.extractfile(member)
                assert source is not None
                with (work / "home" / name).open("wb") as file:
                    shutil.copyfileobj(source, file)
                progress.update(f"unpacked {name}")
    if len(list((work / "home").glob("*.jar"))) < 4:
        message = f"{archives[0].name} from PyPI does not hold Flink's jars as it used to."
        raise LocalError(message)


def _build_job_server(work: Path, java_home: Path, progress: Progress) -> None:
    """Maven's repository goes with the work folder when the jar is made."""
    shutil.copytree(Path(__file__).parent / "java", work, dirs_exist_ok=True)
    command = [find_maven() or "mvn", "-B", "-ntp", f"-Dmaven.repo.local={work / 'maven'}", "package"]
    progress.begin("building Beam's job server for Flink from Maven Central (300 MB, once)")
    maven = Process(
        "Maven",
        command,
        work.parent / "download-flink.log",
        environment={"JAVA_HOME": str(java_home)},
        cwd=work,
    )
    try:
        wait_for(maven, lambda: progress.update(human_bytes(min(size_of(work), _BUILD_BYTES))))
        jar = work / "target" / f"{JOB_SERVER}.jar"
        if maven.exit_code or not jar.is_file():
            message = "Beam's job server could not be built: check the network and Maven's settings."
            raise LocalError(message + maven.last_words())
        jar.rename(work / "home" / "job-server.jar")
    finally:
        maven.kill()
