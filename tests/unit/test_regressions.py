"""No core path has become a quarter slower than it was, beside a floor of the same run: `benchmarks/ratios.py`.

Times are compared with nothing: machines differ, and this one may be busy.
"""

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.version import Version

import local
from penstock.io.kinesis.kpl import _aggregation

PROGRAM = Path(local.__file__).resolve().parents[1] / "benchmarks" / "ratios.py"
ALLOWED = 1.25
OLDER = [
    name
    for name, measured in json.loads(PROGRAM.with_suffix(".json").read_text())["packages"].items()
    if Version(version(name)) < Version(measured)
]
pytestmark = pytest.mark.skipif(
    bool(OLDER), reason=f"the reference was measured with newer packages: {OLDER}"
)


def measured(rounds, **environment):
    command = [sys.executable, "-P", PROGRAM, "--json", "--rounds", str(rounds)]
    said = subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=600, env={**os.environ, **environment}
    ).stdout
    found = [json.loads(line) for line in said.splitlines()]
    assert len(found) == 4
    return found


def slower(found):
    """The paths that are slower than allowed, as they are told."""
    return [each for each in found if each["ratio"] > each["reference"] * ALLOWED]


@pytest.mark.skipif(
    _aggregation._kernel is None, reason="without the C kernels the paths are slow, as is known"
)
@pytest.mark.built
def test_no_core_path_is_a_quarter_slower_than_it_was():
    found = slower(measured(25))
    if found:  # a busy machine may have had no quiet moment
        names = {each["path"] for each in found}
        found = [each for each in slower(measured(100)) if each["path"] in names]
    assert not found, "\n".join(map(str, found))


def test_it_notices_a_slower_path():
    names = {each["path"] for each in slower(measured(2, PENSTOCK_NATIVE="0"))}
    assert names == {"beats to records", "records to events", "events to bulks", "filters"}
