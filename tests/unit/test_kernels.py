"""The C kernels compile without a warning, and none is too long."""

import shutil

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
