"""Runs the unit and property tests on the other Pythons that the package supports, one of them with its oldest packages.

usage: python -P tests/pythons.py [PYTEST ARGUMENT ...]

The lowest version that pyproject.toml allows of each dependency is tried on 3.12, the newest ones on 3.13 (and on the Python
of .venv, by the other steps). A Python that isn't here is named, and is no failure. A test that fails is tried once more,
alone: the machine may be slow, and what is asked here is whether the code works on that Python. For the same reason a
property gets few examples.

The package itself is installed there as a user does it, with its kernels. The others are cached outside the checkout.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VERSIONS = ("3.11", "3.12", "3.13")
LOWEST = "3.12"
NOT_NEEDED = ("atheris", "boto3-stubs", "mypy", "pip-audit", "ruff")
"""What other steps run, on the Python of .venv."""
LONGEST_UNUSED_S = 14 * 86400.0
"""After that packages are removed from the cache: 850 MB, of a pyproject.toml that nobody has any more."""
MARKS = "not servers and not kills and not fuzz and not full and not built"


def main(arguments: list[str]) -> int:
    failed = []
    for version in VERSIONS:
        if version == ".".join(map(str, sys.version_info[:2])):
            continue
        python = find(version)
        if python is None:
            print(f"Python {version}: not here, so not tried", flush=True)
        elif not passes(version, python, arguments):
            failed.append(version)
    if failed:
        print(f"failed on Python {', '.join(failed)}")
    return 1 if failed else 0


def find(version: str) -> str | None:
    """A Python of that version that works: one on the PATH, or of pyenv."""
    home = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    for python in [f"python{version}", *map(str, home.glob(f"versions/{version}.*/bin/python"))]:
        try:
            done = subprocess.run([python, "-c", "import venv"], capture_output=True, check=False, timeout=60)
        except OSError:
            continue
        if done.returncode == 0:
            return python
    return None


def passes(version: str, python: str, arguments: list[str]) -> bool:
    lowest = version == LOWEST
    print(f"Python {version}, the {'lowest' if lowest else 'newest'} versions of dependencies", flush=True)
    packages = cached_packages(version, python, lowest=lowest)
    with tempfile.TemporaryDirectory(prefix="penstock-python-") as folder:
        own = Path(folder) / "venv"
        run(python, "-m", "venv", own)
        site = next(own.glob("lib/python*/site-packages"))
        (site / "packages.pth").write_text(f"{next(packages.glob('lib/python*/site-packages'))}\n")
        run(own / "bin" / "python", "-m", "pip", "install", "-q", "--no-deps", "-e", ROOT)
        command = [
            *(
                own / "bin" / "python",
                "-P",
                "-m",
                "pytest",
                "-q",
                "-m",
                MARKS,
                "-o",
                f"cache_dir={folder}/cache",
                "--hypothesis-profile",
                "fast",
            ),
            *(arguments or ("tests/unit", "tests/property")),
        ]
        if subprocess.run([*command, "-n", "3"], cwd=ROOT, check=False).returncode == 0:
            return True
        print("once more, what failed", flush=True)
        return subprocess.run([*command, "--last-failed"], cwd=ROOT, check=False).returncode == 0


def cached_packages(version: str, python: str, *, lowest: bool) -> Path:
    """An environment with everything but penstock, made once per list of dependencies."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = list(project["dependencies"])
    pinned = [line for line in map(lowest_of, needed) if line] if lowest else []
    tools = own_extra(project["optional-dependencies"], "dev")
    wanted = [*needed, *(tool for tool in tools if not tool.startswith(NOT_NEEDED))]
    name = hashlib.sha256("\n".join([*wanted, *pinned]).encode()).hexdigest()[:16]
    folder = cache() / "pythons" / f"{version}-{name}"
    whole = folder / "whole"
    with locked(cache() / "pythons.lock"):
        if not whole.exists():
            print("   its packages are not cached: installing them", flush=True)
            shutil.rmtree(folder, ignore_errors=True)
            run(python, "-m", "venv", folder)
            constraints = folder / "constraints.txt"
            constraints.write_text("\n".join(pinned))
            pip = (folder / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "install", "-q")
            run(*pip, "-c", constraints, *wanted)
        whole.touch()
        for stamp in folder.parent.glob("*/whole"):
            if time.time() - stamp.stat().st_mtime > LONGEST_UNUSED_S:
                shutil.rmtree(stamp.parent, ignore_errors=True)
    return folder


def lowest_of(requirement: str) -> str | None:
    """The constraint for the lowest version that a requirement allows: `name>=1,<2` gives `name==1`."""
    found = re.match(r"([\w.-]+)(?:\[[^]]*\])?>=([\w.]+)", requirement)
    return f"{found[1]}=={found[2]}" if found else None


def own_extra(extras: dict[str, list[str]], name: str) -> Iterator[str]:
    for requirement in extras[name]:
        inner = re.fullmatch(r"penstock-beam\[([\w,]+)\]", requirement)
        for other in inner[1].split(",") if inner else ():
            yield from own_extra(extras, other)
        if inner is None:
            yield requirement


def cache() -> Path:
    given = os.environ.get("PENSTOCK_CACHE")
    if given:
        return Path(given).expanduser().absolute()
    return Path("/var/cache/penstock") if os.geteuid() == 0 else Path.home() / ".cache" / "penstock"


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Of several runs at once, one installs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def run(*command: object) -> None:
    subprocess.run([str(part) for part in command], check=True, cwd=ROOT)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
