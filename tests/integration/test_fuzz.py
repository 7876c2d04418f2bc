"""Each fuzz target, for some thousand inputs; from one seed, so that a change meets its own faults only."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INPUTS = {"beats_protocol": 2_000, "logstash_language": 20_000, "peer_replies": 10_000}
PATIENCE_S = 500  # an input that takes longer hangs, on any machine


def _fuzz(target: str, folder: Path, *bounds: str) -> str:
    run = subprocess.run(
        [
            *(sys.executable, "-P", str(ROOT / "fuzz" / f"{target}.py"), *bounds),
            *("-timeout=120", "-rss_limit_mb=2048", "-print_final_stats=1"),
        ],
        cwd=folder,
        env={**os.environ, "PENSTOCK_FUZZ_CORPUS": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-5000:]
    return run.stdout


@pytest.mark.fuzz
@pytest.mark.parametrize("target", INPUTS)
def test_fuzzing_finds_nothing(target: str, tmp_path: Path) -> None:
    pytest.importorskip(
        "atheris", reason="pip install -e '.[dev]' brings atheris where there is a wheel of it"
    )
    said = _fuzz(target, tmp_path, "-seed=1", f"-runs={INPUTS[target]}")
    assert f"Done {INPUTS[target]} runs" in said, said[-2000:]


@pytest.mark.full
@pytest.mark.parametrize("target", INPUTS)
def test_a_minute_of_new_inputs_finds_nothing(target: str, tmp_path: Path) -> None:
    pytest.importorskip(
        "atheris", reason="pip install -e '.[dev]' brings atheris where there is a wheel of it"
    )
    _fuzz(target, tmp_path, "-max_total_time=60")
