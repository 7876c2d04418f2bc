"""The checkout as the release that follows it (a later version of what is stored), or as an earlier commit has it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
PARTS = (
    "setup.py",
    "pyproject.toml",
    "MANIFEST.in",
    "README.md",
    "LICENSE",
    "penstock",
    "io",
    "transforms",
    "pipelines",
)


def install_next_release(folder: Path) -> Path:
    """Installs it below `folder`; with the result as PYTHONPATH, `import penstock` finds it and not the checkout.

    Without kernels: compiling them would take most of the time, and is tested elsewhere.
    """
    source = folder / "source"
    source.mkdir()
    for name in PARTS:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
        else:
            shutil.copy(ROOT / name, source)
    _change(source / "pyproject.toml", r'(?m)^version = ".*"', 'version = "99.0.0"')
    _change(source / "io" / "chain" / "unbounded.py", r"(?m)^_VERSION = 1$", "_VERSION = 2")
    return _install(source, folder / "site")


def install_commit(commit: str, folder: Path) -> Path:
    """Installs the checkout's code as a commit has it, as `install_next_release` does.

    `python -m penstock` is what that commit calls `python -m penstock.pipelines`.
    """
    source = folder / "source"
    source.mkdir()
    archive = subprocess.run(
        ["git", "archive", commit], cwd=ROOT, check=True, capture_output=True, timeout=60
    )
    subprocess.run(["tar", "-x", "-C", str(source)], input=archive.stdout, check=True, timeout=60)
    site = _install(source, folder / "site")
    (site / "penstock" / "__main__.py").write_text(
        "import sys\nfrom penstock.pipelines.__main__ import main\nsys.exit(main())\n"
    )
    return site


def has_commit(commit: str) -> bool:
    """Whether this checkout's history goes back to it."""
    found = subprocess.run(
        ["git", "cat-file", "-e", f"{commit}^{{commit}}"], cwd=ROOT, capture_output=True, check=False
    )
    return found.returncode == 0


def _install(source: Path, site: Path) -> Path:
    command = [
        sys.executable,
        "-P",
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--target",
        str(site),
        str(source),
    ]
    subprocess.run(["env", "CC=false", *command], check=True, capture_output=True, timeout=240)
    return site


def _change(path: Path, pattern: str, text: str) -> None:
    changed, count = re.subn(pattern, text, path.read_text())
    assert count == 1, f"{path.name} has not the one line that a release changes: {pattern}"
    path.write_text(changed)


def stored_versions(savepoint: str) -> set[int]:
    """The versions of the positions in a savepoint of Flink's, given by its URL."""
    found: set[int] = set()
    for file in Path(savepoint.removeprefix("file:")).rglob("*"):
        if file.is_file():
            marks = re.findall(rb'\{"position": [^\0]*?"v": (\d+)\}', file.read_bytes())
            found |= {int(version) for version in marks}
    return found
