"""`go_programs` builds programs written in Go once, from a Go module proxy, into the cache.

- `prism`: Beam's portable runner for one machine, for `--runner PrismRunner --prism_location`, of the version of Beam that
  is installed. Beam would fetch it from GitHub's releases, which many build machines don't reach.
- `boot`: what Beam's worker images start; it installs what a submitter staged, and runs Python.
- `filebeat`: the real shipper of log files. Elastic's own packages would be another download, behind another address.

Go verifies the sources by its checksum database. One build at a time; a program that is in the cache is whole.
Filebeat's sources can't be built by `go install`, because they replace other modules: they are downloaded, and built in
their own folder. What that needs besides (1.5 GB) is dropped again.
"""

import importlib.metadata
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from local.processes import LocalError, Process
from local.servers.cache import cache_folder, locked, wait_for
from local.terminal import Progress

__all__ = ["find_boot", "find_filebeat", "find_prism"]

_BEAM = "github.com/apache/beam/sdks/v2"
_BEATS = "github.com/elastic/beats/v7@v7.17.28"
_USUAL_GO = "/usr/local/go/bin/go"  # where Go's own archive goes, often without being on the PATH
_SMALL = ("-trimpath", "-ldflags=-s -w")


class _Step(NamedTuple):
    """A command of Go's. `{work}` is the folder of the build, in which all of it happens."""

    command: tuple[str, ...]
    variables: dict[str, str]
    folder: str = ""


def find_prism(progress: Progress) -> Path:
    """Beam's Prism, built if it is not in the cache yet; raises `LocalError` when it can't be."""
    return _of_beam("prism", "go/cmd/prism", progress)


def find_boot(progress: Progress) -> Path:
    """The entry point of Beam's Python workers, likewise."""
    return _of_beam("boot", "python/container", progress)


def find_filebeat(progress: Progress) -> Path:
    """Filebeat: the one on the PATH, else likewise."""
    installed = shutil.which("filebeat")
    if installed:
        return Path(installed)
    place = cache_folder() / f"filebeat-{_BEATS.rpartition('@v')[2]}" / "filebeat"
    own = {"GOMODCACHE": "{work}/modules", "GOCACHE": "{work}/objects", "GOFLAGS": "-modcacherw"}
    steps = (
        _Step(("mod", "download", _BEATS), own),
        _Step(("build", *_SMALL, "-o", "{work}/filebeat", "./filebeat"), own, f"modules/{_BEATS}"),
    )
    return _find("Filebeat", place, steps, progress)


def _of_beam(name: str, package: str, progress: Progress) -> Path:
    version = importlib.metadata.version("apache-beam")
    place = cache_folder() / f"beam-{name}-{version}" / Path(package).name
    command = ("install", *_SMALL, f"{_BEAM}/{package}@v{version}")
    return _find(
        f"Beam's {name}", place, [_Step(command, {"GOBIN": "{work}", "GOFLAGS": "-mod=mod"})], progress
    )


def _find(name: str, place: Path, steps: Sequence["_Step"], progress: Progress) -> Path:
    if not place.exists():
        progress.begin(f"waiting for another run's build of {name}")
        with locked(place.parent.with_name(f"{place.parent.name}.lock"), progress):
            if not place.exists():
                _build(name, place, steps, progress)
    return place


def _build(name: str, place: Path, steps: Sequence["_Step"], progress: Progress) -> None:
    go = shutil.which("go") or shutil.which(_USUAL_GO)
    if go is None:
        message = f"Go 1.21 or newer is needed to build {name}: Debian 13: apt-get install golang-go; else https://go.dev/dl"
        raise LocalError(message)
    progress.begin(f"building {name} (once)")
    prefix = f"build-{place.parent.name}-"
    for left in cache_folder().glob(f"{prefix}*"):
        shutil.rmtree(left, ignore_errors=True)  # of a build that was killed: we hold its lock
    work = Path(tempfile.mkdtemp(prefix=prefix, dir=cache_folder()))
    try:
        for step in steps:
            _run(name, go, step, work, progress)
        place.parent.mkdir(exist_ok=True)
        os.replace(work / place.name, place)
        progress.done(f"{name} is in {place.parent}")
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _run(name: str, go: str, step: "_Step", work: Path, progress: Progress) -> None:
    variables = {key: value.format(work=work) for key, value in step.variables.items()}
    command = [go, *(each.format(work=work) for each in step.command)]
    # No C compiler is needed, and less is built.
    build = Process(
        f"the build of {name}", command, work / "build.log",
        environment={"CGO_ENABLED": "0", **variables}, cwd=work / step.folder,
    )  # fmt: skip
    try:
        wait_for(build, lambda: progress.update(""))
        if build.exit_code:
            told = f"go {step.command[0]} {step.command[-1]}"
            message = f"{name} could not be built by `{told}`: check the network and Go's settings."
            raise LocalError(message + build.last_words())
    finally:
        build.kill()
