"""`mypy --strict` over everything: it finds `penstock` only in a real package layout, so we link one.

The folders `io/`, `transforms/` and `pipelines/` are `penstock.io`, ... when installed (see setup.py); an
editable install maps them by an import hook that mypy does not follow. Links do, and name the real files.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("io", "transforms", "pipelines")
TYPED = ROOT / "tests/tools/samples/typed_keywords.py"


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        layout = Path(folder)
        (layout / "penstock").mkdir()
        for name in PACKAGES:
            (layout / "penstock" / name).symlink_to(ROOT / name)
        for path in (ROOT / "penstock").iterdir():
            (layout / "penstock" / path.name).symlink_to(path)
        for name in ("local", "examples"):
            (layout / name).symlink_to(ROOT / name)
        (layout / TYPED.name).symlink_to(TYPED)
        command = [
            *(sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml")),
            *("--cache-dir", str(ROOT / ".mypy_cache"), "-p", "penstock", "-p", "local"),
            *("-p", "examples", "-m", TYPED.stem, *sys.argv[1:]),
        ]
        return subprocess.call(command, cwd=folder, env={**os.environ, "MYPYPATH": folder})


if __name__ == "__main__":
    sys.exit(main())
