"""The soft limit of open files is raised, once and for all."""

import resource
import subprocess
import sys

CODE = """
import resource
from penstock.io.file_limit import MOST, raise_file_limit
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
hard = hard if 0 < hard < 4096 else 4096
resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
assert raise_file_limit() == raise_file_limit() == min(hard, MOST)
assert resource.getrlimit(resource.RLIMIT_NOFILE) == (min(hard, MOST), hard)
"""


def test_the_soft_limit_becomes_the_hard_one():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    subprocess.run([sys.executable, "-P", "-c", CODE], check=True, timeout=60)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == before
