"""`beam_programs` builds Beam's programs in Go once, of the version of Beam that is installed, into the cache.

- `prism`: Beam's portable runner for one machine, for `--runner PrismRunner --prism_location`. Beam would fetch it from
  GitHub's releases; a machine that reaches a Go module proxy only, as many build machines do, builds it.
- `boot`: what Beam's worker images start; it installs what a submitter staged, and runs Python.

`go install` verifies the sources by Go's checksum database. One build at a time; a program that is in the cache is whole.
"""

import os
import shutil
import tempfile
from pathlib import Path

import apache_beam

from local.processes import LocalError, Process
from local.servers.cache import cache_folder, locked, wait_for
from local.terminal import Progress

__all__ = ["find_boot", "find_prism"]

_MODULE = "github.com/apache/beam/sdks/v2"
_USUAL_GO = "/usr/local/go/bin/go"  # where Go's own archive goes, often without being on the PATH


def find_prism(progress: Progress) -> Path:
    """Beam's Prism, built if it is not in the cache yet; raises `LocalError` when it can't be."""
    return _find("prism", "go/cmd/prism", "prism", progress)


def find_boot(progress: Progress) -> Path:
    """The entry point of Beam's Python workers, likewise."""
    return _find("boot", "python/container", "container", progress)


def _find(name: str, package: str, program: str, progress: Progress) -> Path:
    version = apache_beam.__version__
    home = cache_folder() / f"beam-{name}-{version}"
    if not (home / program).exists():
        progress.begin(f"waiting for another run's build of Beam's {name}")
        with locked(cache_folder() / f"beam-{name}.lock", progress):
            if not (home / program).exists():
                _build(name, f"{_MODULE}/{package}@v{version}", home / program, progress)
    return home / program


def _build(name: str, package: str, place: Path, progress: Progress) -> None:
    go = shutil.which("go") or shutil.which(_USUAL_GO)
    if go is None:
        message = f"Go 1.21 or newer is needed to build Beam's {name}: Debian 13: apt-get install golang-go; else https://go.dev/dl"
        raise LocalError(message)
    progress.begin(f"building Beam's {name} (once)")
    work = Path(tempfile.mkdtemp(prefix=f"build-{name}-", dir=cache_folder()))
    variables = {
        "GOBIN": str(work),
        "GOFLAGS": "-mod=mod",
        "CGO_ENABLED": "0",
    }  # no C compiler, and less to build
    command = [go, "install", "-trimpath", "-ldflags=-s -w", package]
    build = Process(f"the build of Beam's {name}", command, work / "build.log", environment=variables)
    try:
        wait_for(build, lambda: progress.update(""))
        if build.exit_code:
            message = f"Beam's {name} could not be built by `go install {package}`: check the network and Go's settings."
            raise LocalError(message + build.last_words())
        place.parent.mkdir(exist_ok=True)
        os.replace(work / place.name, place)
        progress.done(f"Beam's {name} is in {place.parent}")
    finally:
        build.kill()
        shutil.rmtree(work, ignore_errors=True)
