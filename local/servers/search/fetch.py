"""`fetch` gets a search server from Maven Central into the cache folder, once.

Maven works in a temporary folder, with a repository of its own that goes when it is done. A server's folder appears
under its name when it is whole. It needs no packages, so that it runs while these are installed.
"""

import shutil
import tempfile
import xml.sax.saxutils
from collections.abc import Mapping
from pathlib import Path

from local.processes import LocalError, Process
from local.servers.cache import cache_folder, drop_leftovers, locked, require_machine, size_of, wait_for
from local.servers.java import find_java_home, find_maven
from local.servers.search.kinds import KINDS, Kind, Part
from local.terminal import Progress, human_bytes

__all__ = ["find_search_server", "smallest"]

_SMALLEST = {
    "elasticsearch": ("elasticsearch-8.19.21",),
    "opensearch": ("opensearch-3.9.0", "opensearch-2.19.6"),
}
"""What serves a demonstration, which only stores and searches. The whole Elasticsearch 9.4.3, 947 MB to download, is for
the tests of security, ingest and Painless."""

_PROJECT = '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
_NEEDED_BYTES = 600_000_000
"""Of disk for a download: the archive, what is in it, and room for a server's data."""
_FOREIGN = ("-osx-", "-windows-")
"""In the names of jars for other systems. 3.x refuses to start beside those of its QUIC codec."""


def smallest(product: str) -> Kind:
    """Gives the smallest kind of `elasticsearch` or `opensearch`; of several the first for which there is a Java."""
    kinds = [KINDS[name] for name in _SMALLEST[product]]
    return next((each for each in kinds if find_java_home(*each.java)[0]), kinds[0])


def find_search_server(kind: Kind, progress: Progress) -> tuple[Path, Path]:
    """The unpacked server and a Java for it; downloaded if it isn't in the cache yet.

    Raises:
        LocalError: this machine lacks something (all of it is named), or the download failed.
    """
    java_home = require_machine(kind.name, kind.java, _NEEDED_BYTES)
    home = cache_folder() / kind.name
    if not home.is_dir():
        progress.begin(f"waiting for the download of {kind.name}, which has begun")
        with locked(cache_folder() / f"{kind.name}.lock", progress):
            if not home.is_dir():
                _download(kind, home, java_home, progress)
    return home, java_home


def _download(kind: Kind, home: Path, java_home: Path, progress: Progress) -> None:
    size = f"{kind.megabytes} MB, " if kind.megabytes else ""
    progress.begin(f"downloading {kind.name} from Maven Central ({size}once)")
    drop_leftovers(f"download-{kind.name}-")
    work = Path(tempfile.mkdtemp(prefix=f"download-{kind.name}-", dir=cache_folder()))
    made = work / "server"
    made.mkdir()
    repository = work / "maven"
    common = (find_maven() or "mvn", "-q", "-B", "-ntp", f"-Dmaven.repo.local={repository}")

    def run(*arguments: str) -> None:
        process = Process(
            "Maven", [*common, *arguments], cache_folder() / "download.log",
            environment={"JAVA_HOME": str(java_home)}, cwd=work,
        )  # fmt: skip
        try:
            wait_for(process, lambda: progress.update(human_bytes(size_of(repository))))
            if process.exit_code:
                message = f"{kind.name} could not be downloaded: check the network and Maven's settings."
                raise LocalError(message + process.last_words())
        finally:
            process.kill()

    try:
        if kind.archive:
            run("dependency:unpack", f"-Dartifact={kind.archive}", f"-DoutputDirectory={work / 'unpacked'}")
            made.rmdir()
            next((work / "unpacked").glob("*/")).rename(made)
        else:
            _write_projects(work, kind.parts)
            run("dependency:copy-dependencies", "-DoutputDirectory=jars", "-DincludeScope=runtime")
            _lay_out(work, made, kind)
        if kind.plugin:
            folder = made / "plugins" / kind.plugin.split(":")[1]
            run("dependency:unpack", f"-Dartifact={kind.plugin}", f"-DoutputDirectory={folder}")
        for name in ("bin", "plugins"):  # which the server looks for, empty or not
            (made / name).mkdir(exist_ok=True)
        for path in (made, *made.rglob("*")):
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))
        made.rename(home)
        progress.done(f"{kind.name} is in {home}")
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _write_projects(work: Path, parts: Mapping[str, Part]) -> None:
    """Writes one Maven project for each part, under one that has them all: one run fetches everything."""
    modules = []
    for place, part in parts.items():
        name = place.replace("/", "-")
        modules.append(name)
        wanted = "".join(
            "<dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></dependency>".format(
                *map(xml.sax.saxutils.escape, artifact.split(":"))
            )
            for artifact in part.artifacts
        )
        (work / name).mkdir()
        (work / name / "pom.xml").write_text(
            f"{_PROJECT}<groupId>penstock.local</groupId><artifactId>{name}</artifactId><version>1</version>"
            f"<packaging>pom</packaging><dependencies>{wanted}</dependencies></project>"
        )
    (work / "pom.xml").write_text(
        f"{_PROJECT}<groupId>penstock.local</groupId><artifactId>all</artifactId><version>1</version>"
        f"<packaging>pom</packaging><modules>{''.join(f'<module>{name}</module>' for name in modules)}</modules>"
        "</project>"
    )


def _lay_out(work: Path, made: Path, kind: Kind) -> None:
    """Puts the jars where the server looks for them; a module needs a description, and none of the server's own jars."""
    own: set[str] = set()
    for place, part in kind.parts.items():
        folder = made / place
        folder.mkdir(parents=True)
        for jar in (work / place.replace("/", "-") / "jars").glob("*.jar"):
            if jar.name not in own and not any(each in jar.name for each in _FOREIGN):
                jar.rename(folder / jar.name)
        if not part.plugin_class:
            own = {jar.name for jar in folder.iterdir()}
            continue
        name = folder.name
        described = {
            "name": name, "description": name, "version": kind.version, "opensearch.version": kind.version,
            "java.version": kind.java[0], "classname": part.plugin_class, "custom.foldername": "",
            "extended.plugins": part.extends, "has.native.controller": "false",
        }  # fmt: skip
        lines = "".join(f"{key}={value}\n" for key, value in described.items())
        (folder / "plugin-descriptor.properties").write_text(lines)
        (folder / "plugin-security.policy").write_text("grant { permission java.security.AllPermission; };\n")
