"""The C kernels compile without a warning, and what holds them and their twins together passes under sanitizers."""

import shutil
import subprocess
import sys

import pytest

from tests.tools.machine import sanitized

needs_compiler = pytest.mark.skipif(not shutil.which("cc"), reason="there is no C compiler")


@needs_compiler
@pytest.mark.parametrize("source", sanitized.kernels(), ids=lambda path: path.stem)
def test_a_kernel_compiles_without_a_warning(source, tmp_path):
    sanitized.build(source, tmp_path, "-O3")


@pytest.mark.parametrize("source", sanitized.kernels(), ids=lambda path: path.stem)
def test_a_kernel_is_not_too_long(source):
    assert len(source.read_text().splitlines()) < 500


@pytest.mark.skipif(not sanitized.asan_library(), reason="there is no compiler with an address sanitizer")
@pytest.mark.long
@pytest.mark.servers  # not for servers, but for minutes: it runs with them
def test_kernels_under_the_sanitizers(tmp_path):
    tests = sorted(map(str, (sanitized.ROOT / "tests" / "property").rglob("test_native_*.py")))
    command = [sys.executable, "-P", sanitized.__file__, str(tmp_path), *tests]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=570)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "skipped" not in done.stdout
