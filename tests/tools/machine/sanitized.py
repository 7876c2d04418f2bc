"""Runs tests on kernels that were built with the address and the undefined-behaviour sanitizer.

usage: python -P tests/tools/machine/sanitized.py EXAMPLES FOLDER TEST...

Builds each kernel (`_native_*.c`) into FOLDER, strictly: any warning is an error. Then a Python with the
sanitizer's library preloaded puts them in the place of the installed ones and runs pytest, with so many examples
per property.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
FLAGS = ["-std=c11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function"]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]


def kernels() -> list[Path]:
    return sorted(path for folder in ("io", "transforms") for path in (ROOT / folder).rglob("_native_*.c"))


def build(source: Path, folder: Path, *flags: str) -> Path:
    """Compiles one kernel; its compiler's words are the error when it doesn't."""
    made = folder / f"{source.stem}{sysconfig.get_config_var('EXT_SUFFIX')}"
    include = f"-I{sysconfig.get_path('include')}"
    command = ["cc", "-shared", "-fPIC", *FLAGS, *flags, include, "-o", str(made), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
    return made


def asan_library() -> str | None:
    """The sanitizer's library; None where there is no compiler, or it has none (Clang's is linked otherwise)."""
    if not shutil.which("cc"):
        return None
    asked = subprocess.run(["cc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    return asked.stdout.strip() if Path(asked.stdout.strip()).is_file() else None


def run(examples: str, folder: Path, tests: list[str]) -> int:
    """The tests, in a Python of their own."""
    for source in kernels():
        build(source, folder, *SANITIZERS)
    library = asan_library()
    if library is None:
        raise SystemExit("the compiler brings no libasan.so")
    environment = {
        **os.environ,
        "LD_PRELOAD": library,
        "ASAN_OPTIONS": "detect_leaks=0",  # Python keeps what it has until it ends
        "PYTHONMALLOC": "malloc",  # its own allocator would hide a few bytes too many
    }
    command = [sys.executable, "-P", __file__, "--inside", examples, str(folder), *tests]
    return subprocess.run(command, env=environment, cwd=ROOT, check=False).returncode


def inside(examples: int, folder: Path, tests: list[str]) -> int:
    """Puts the kernels in their places before anybody imports them."""
    import pytest
    from hypothesis import settings

    settings.register_profile("sanitized", max_examples=examples, deadline=None)
    for source in kernels():
        name = ".".join(("penstock", *source.relative_to(ROOT).with_suffix("").parts))
        made = folder / f"{source.stem}{sysconfig.get_config_var('EXT_SUFFIX')}"
        spec = importlib.util.spec_from_file_location(name, made)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return pytest.main(
        ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--hypothesis-profile=sanitized", *tests]
    )


if __name__ == "__main__":
    if sys.argv[1] == "--inside":
        sys.exit(inside(int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:]))
    sys.exit(run(sys.argv[1], Path(sys.argv[2]), sys.argv[3:]))
