"""Each fuzz target, for ten seconds."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECONDS = 10


@pytest.mark.fuzz
@pytest.mark.parametrize("target", ["beats_protocol", "logstash_language"])
def test_ten_seconds_of_fuzzing_find_nothing(target: str, tmp_path: Path) -> None:
    pytest.importorskip(
        "atheris", reason="pip install -e '.[dev]' brings atheris where there is a wheel of it"
    )
    command = [sys.executable, "-P", str(ROOT / "fuzz" / f"{target}.py"), f"-max_total_time={SECONDS}"]
    run = subprocess.run(
        [*command, "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1"],
        cwd=tmp_path,
        env={**os.environ, "PENSTOCK_FUZZ_CORPUS": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS * 5,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-5000:]
    executed = [line for line in run.stdout.splitlines() if "number_of_executed_units" in line]
    assert executed, run.stdout[-2000:]
    assert int(executed[0].split()[-1]) > 1000
