"""Whatever a peer replies, a row holds or a file claims, the cores read what a slow and plain reading says.

Coverage-guided fuzzing with atheris of seven cores: KPL's aggregation, GetRecords, lease rows, bulk replies, Avro's frame,
Arrow's columns as JSON, the scan of events (where there are C kernels, beside their twins):

    python fuzz/peer_replies.py [-max_total_time=60] [libFuzzer options] [CORPUS]

The readings are in `tests/tools/models/reply_models.py`: from the input they make a reply whose meaning they know, by
decisions that the fuzzer can steer, and break some. Every crash becomes a case in tests/unit/test_reply_models.py, which
also lists faults that the readings must notice.
"""

import base64
import importlib
import json
import sys
from pathlib import Path

import atheris

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT))  # for `fuzz` and `tests`; behind all else, since the root holds a folder named io

CORES = [
    "penstock.io.kinesis.kpl._deaggregation",
    "penstock.io.kinesis.wire._get_reply",
    "penstock.io.kinesis.lease.rules._rows",
    "penstock.io.elasticsearch.bulk._bulk",
    "penstock.io.s3.formats._avro_blocks",
    "penstock.io.s3.formats._json_columns",
    "penstock.transforms.kernels._scan",
]

with atheris.instrument_imports(include=CORES):
    MODULES = [importlib.import_module(name) for name in CORES]

from fuzz.running import run  # noqa: E402
from tests.tools.models.reply_models import CHECKS, by_chance  # noqa: E402


def test_one_input(raw: bytes) -> None:
    """One input: its first byte says which core, the rest decides."""
    module = MODULES[raw[0] % len(MODULES)] if raw else MODULES[0]
    CHECKS[module.__name__](module, raw[1:])


def seeds(folder: Path) -> None:
    """Writes decisions by chance for each core, and records that a real KPL made."""
    samples = [bytes((core,)) + data for core in range(len(CORES)) for data in by_chance(15)]
    for file in sorted((ROOT / "tests" / "unit" / "kinesis" / "fixtures").glob("kpl_*.jsonl")):
        for line in file.read_text().splitlines()[:10]:
            samples.append(b"\0" + base64.b64decode(json.loads(line)["data_b64"])[4:-16])
    for number, sample in enumerate(samples):
        (folder / f"seed{number}").write_bytes(sample)


if __name__ == "__main__":
    run(test_one_input, seeds)
