"""The C kernels compile without a warning, none is too long, and hashes side by side are right."""

import hashlib
import shutil
import subprocess

import pytest

from tests.tools.machine import sanitized

needs_compiler = pytest.mark.skipif(not shutil.which("cc"), reason="there is no C compiler")


@needs_compiler
@pytest.mark.built
@pytest.mark.parametrize("source", sanitized.kernels(), ids=lambda path: path.stem)
def test_a_kernel_compiles_without_a_warning(source, tmp_path):
    sanitized.build(source, tmp_path, "-O3")


@pytest.mark.parametrize("source", sanitized.kernels(), ids=lambda path: path.stem)
def test_a_kernel_is_not_too_long(source):
    assert len(source.read_text().splitlines()) < 500


BLAKE2B_PROGRAM = r"""
#include "_native_blake2b.h"
#include <stdio.h>

static void print(const char *way, const uint8_t digests[BLAKE2B_TOGETHER][16])
{
    for (int i = 0; i < BLAKE2B_TOGETHER; i++) {
        printf("%s ", way);
        for (int k = 0; k < 16; k++)
            printf("%02x", digests[i][k]);
        printf("\n");
    }
}

int main(void)
{
    static const size_t sizes[BLAKE2B_TOGETHER] = {0, 1, 7, 8, 93, 100, 127, 128};
    static Blake2bBlock blocks[BLAKE2B_TOGETHER];
    uint8_t digests[BLAKE2B_TOGETHER][16];
    for (int i = 0; i < BLAKE2B_TOGETHER; i++) {
        blocks[i].size = sizes[i];
        for (size_t k = 0; k < sizes[i]; k++)
            blocks[i].bytes[k] = (uint8_t)(k * 7 + (size_t)i);
        blake2b_128(blocks[i].bytes, sizes[i], digests[i]);
    }
    print("one", digests);
    blake2b_128_together(blocks, digests);
    print("together", digests);
#if defined(__GNUC__) && defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) {
        blake2b_lanes4(blocks, digests);
        blake2b_lanes4(blocks + 4, digests + 4);
        print("avx2", digests);
    }
    if (__builtin_cpu_supports("avx512f")) {
        blake2b_lanes8(blocks, digests);
        print("avx512", digests);
    }
#endif
    return 0;
}
"""


@needs_compiler
@pytest.mark.built
@pytest.mark.parametrize("level", ["-O0", "-O3"])
def test_hashes_side_by_side_are_those_of_hashlib(level, tmp_path):
    source, program = tmp_path / "program.c", tmp_path / "program"
    source.write_text(BLAKE2B_PROGRAM)
    include = sanitized.ROOT / "transforms" / "kernels"
    subprocess.run(["cc", level, "-I", str(include), "-o", str(program), str(source)], check=True)
    messages = [
        bytes((k * 7 + i) % 256 for k in range(size))
        for i, size in enumerate((0, 1, 7, 8, 93, 100, 127, 128))
    ]
    right = [hashlib.blake2b(message, digest_size=16).hexdigest() for message in messages]
    found: dict[str, list[str]] = {}
    for line in subprocess.run([program], check=True, capture_output=True, text=True).stdout.splitlines():
        way, digest = line.split()
        found.setdefault(way, []).append(digest)
    assert {"one", "together"} <= set(found)
    assert all(digests == right for digests in found.values()), found
