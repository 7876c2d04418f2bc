"""The job that `flink.py` measures: a source that is never empty, DecodeJson, a sink that drops its body, Acknowledge.

usage: flink_load.py FOLDER WARM_UP_S MEASURED_S READERS [Beam's options]

Each process that reads writes FOLDER/PID.json: what it acknowledged in the measured seconds, and what CPU time it took.
"""

import functools
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam

sys.path.insert(0, str(Path(__file__).parent))
from harness import events

from penstock.io.chain.acknowledge import Acknowledge
from penstock.io.chain.live_objects import LIVE, Chunk, LiveSource
from penstock.io.chain.unbounded import read_batches
from penstock.io.dead_letters import WriteDeadLetters
from penstock.pipelines.run.streaming import JobOptions, run_streaming
from penstock.transforms import DecodeJson
from penstock.transforms.batch import Event, EventBatch
from penstock.transforms.document import payload_of

CHUNK = 500
BATCH = 2000


class Origin:
    """Where the events come from: nowhere."""

    arrived_ms = 0

    def position(self) -> bytes:
        return b"load"

    def describe(self) -> dict[str, Any]:
        return {}


class Load(LiveSource):
    """Hands out the same payloads for ever, and measures how fast they come back."""

    def __init__(self, folder: str, warm_up_s: float, measured_s: float, stop: bool, key: str) -> None:
        super().__init__(
            key, max_pending_events=4 * BATCH, max_pending_bytes=64 << 20, max_batch_events=BATCH
        )
        self._path = Path(folder) / f"{os.getpid()}.json"
        self._warm_up_s, self._measured_s, self._stop = warm_up_s, measured_s, stop
        self._lock = threading.Lock()
        self._first = self._start = self._last = 0.0
        self._cpu = self._gap = 0.0
        self._count = 0
        self._thread = threading.Thread(target=self._produce, daemon=True)
        self._thread.start()

    def _produce(self) -> None:
        origin, payloads = Origin(), events(CHUNK)
        size = sum(map(len, payloads))
        # Anew each time, as a real source does: decoding leaves its marks on an event.
        while self.offer(Chunk([Event(data, origin, 0) for data in payloads], size, None)):
            pass

    def _acknowledged(self, chunks: list[Chunk]) -> None:
        now = time.monotonic()
        with self._lock:
            self._first = self._first or now
            if self._start:
                self._count += CHUNK * len(chunks)
                self._gap = max(self._gap, now - self._last)
                if now - self._start >= self._measured_s and not self._path.exists():
                    self._write(now)
            elif now - self._first >= self._warm_up_s:
                self._start, self._cpu = now, time.process_time()
            self._last = now

    def _write(self, now: float) -> None:
        figures = {
            "events": self._count,
            "seconds": now - self._start,
            "cpu_s": time.process_time() - self._cpu,
            "gap_s": self._gap,
        }
        partial = self._path.with_suffix(".part")
        partial.write_text(json.dumps(figures))
        partial.rename(self._path)
        if self._stop:
            LIVE.stop()


class Drop(beam.DoFn):
    """A sink that makes a body, as a bulk request's, and drops it."""

    def process(self, batch: EventBatch) -> Iterator[EventBatch]:
        assert b"\n".join([payload_of(event) for event in batch.events])
        yield batch


def main() -> int:
    folder, warm_up_s, measured_s, readers = sys.argv[1:5]
    beam_arguments = sys.argv[5:]
    here = "--runner" not in beam_arguments
    make = functools.partial(Load, folder, float(warm_up_s), float(measured_s), here)

    def build(pipeline: Any) -> None:
        batches = read_batches(pipeline, "load", make, readers=int(readers))
        decoded = batches | "Decode" >> DecodeJson(keep_documents=False)
        _ = decoded | "Drop" >> beam.ParDo(Drop()) | WriteDeadLetters("file:///dev/null") | Acknowledge()

    return run_streaming("load", JobOptions(), beam_arguments, [], build)


if __name__ == "__main__":
    # Beam pickles by name: the classes must not be known as those of __main__.
    import flink_load

    sys.exit(flink_load.main())
