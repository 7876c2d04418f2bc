"""This benchmark shows memory over hours: both jobs under a steady load, their resident memory every half minute.

usage: python -P benchmarks/soak.py [SECONDS] [EVENTS_PER_SECOND]          defaults: 600, 3000

Beats load -> beats-to-kinesis -> the tests' Kinesis simulator -> kinesis-to-elasticsearch -> an endpoint that stores
nothing. Prints the growth of each job from the third minute on, when buffers, pools and caches have their sizes.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from harness import child_cpu_s, resident_mb, simulator
from jobs import HERE, free_port, job, leases, program, python, received

WARM_UP_S = 120


def main(seconds: float, rate: float) -> int:
    port = free_port(None)
    with (
        tempfile.TemporaryDirectory() as folder,
        leases() as tables,
        simulator("--stream", "kinesis_poc:2") as endpoint_url,
        program(*python(HERE / "null_elasticsearch.py"), wait_for="http") as (_, hosts),
        job(
            "beats-to-kinesis", folder, "--beats_port", str(port), "--stream_name", "kinesis_poc",
            "--endpoint_url", endpoint_url, "--randomized_partition_key", "--max_pending_records", "10000",
        ) as (beats, _),
        job(
            "kinesis-to-elasticsearch", folder, "--kinesis_stream_name", "kinesis_poc", "--application_name",
            "kinesis_poc", "--hosts", hosts, "--checkpoint_interval_seconds", "10",
            AWS_ENDPOINT_URL=tables, AWS_ENDPOINT_URL_KINESIS=endpoint_url,
        ) as (kinesis, _),
    ):  # fmt: skip
        windows = max(1, int(seconds * rate / 2 / 2048))
        load = subprocess.Popen(
            [*map(str, python(HERE / "beats_load.py", "127.0.0.1", port, 2, windows, rate))]
        )
        began = time.monotonic()
        early: dict[str, float] = {}
        print("  seconds  events stored   beats-to-kinesis MB   kinesis-to-elasticsearch MB", flush=True)
        while load.poll() is None:
            time.sleep(30)
            passed = time.monotonic() - began
            now = {"beats-to-kinesis": resident_mb(beats), "kinesis-to-elasticsearch": resident_mb(kinesis)}
            print(
                f"  {passed:7.0f}  {received(hosts):13,} {' ':10}{'  '.join(f'{mb:18.1f}' for mb in now.values())}",
                flush=True,
            )
            if passed >= WARM_UP_S and not early:
                early = now
        for name, pid in (("beats-to-kinesis", beats), ("kinesis-to-elasticsearch", kinesis)):
            grown = resident_mb(pid) - early.get(name, 0)
            print(
                f"  {name}: grew by {grown:.1f} MB since second {WARM_UP_S}; {child_cpu_s(pid):.0f} CPU-s in all"
            )
        return load.returncode


if __name__ == "__main__":
    arguments = [float(each) for each in sys.argv[1:]] + [600.0, 3000.0][len(sys.argv) - 1 :]
    sys.exit(main(*arguments))
