"""A streaming job on a source made here, run as a program by test_job.py.

On stderr it says when a source is full, and when `SOME` of its events are acknowledged.

usage: toy_job.py MODE [options of JobOptions and of Beam]; MODE: works, fails, refuses, option, crashes, hangs, slow, two
"""

import functools
import sys
import threading
import time

import apache_beam as beam

from penstock.io.chain.acknowledge import Acknowledge
from penstock.io.chain.live_objects import LIVE, Chunk, LiveSource
from penstock.io.chain.read_all import ReadFromAll
from penstock.io.chain.unbounded import read_batches
from penstock.io.errors import DeliveryError, OptionError, Unreachable
from penstock.pipelines.command_line import parse
from penstock.pipelines.run import lifecycle
from penstock.pipelines.run.streaming import JobOptions, run_streaming
from penstock.transforms.batch import Event

WAITING, SOME = 50, 200


class Origin:
    def position(self):
        return None

    def describe(self):
        return {}


def say(what):
    if not sys.stderr.isatty():  # a terminal shows the job's own lines only
        print(what, file=sys.stderr, flush=True)


class Toy(LiveSource):
    def __init__(self, endless, key):
        super().__init__(key, max_pending_events=WAITING, max_pending_bytes=1 << 20, max_batch_events=5)
        self._endless = endless
        threading.Thread(target=self._produce, daemon=True).start()

    def _produce(self):
        for number in range(1 << 30 if self._endless else 20):
            if not self.offer(Chunk([Event(b"%d" % number, Origin(), number)], 1, number)):
                return
            if number == WAITING:
                say(f"{self.key} is full")
            time.sleep(0.001)

    def acknowledge(self, tokens):
        before = self.acknowledged_events
        super().acknowledge(tokens)
        if before < SOME <= self.acknowledged_events:
            say(f"{self.key} has {SOME} acknowledged")

    def describe(self):
        return "counting toys"

    def close(self):
        print(f"closed: settled={self.settled} pending={self.pending_events}", flush=True)
        if "two" in sys.argv:
            say(f"{self.key} acknowledged {self.acknowledged_events}")


class ReadToys(beam.PTransform):
    def __init__(self, key, endless):
        super().__init__()
        self._key, self._endless = key, endless

    def expand(self, begin):
        return read_batches(begin, self._key, functools.partial(Toy, self._endless))


class Sink(beam.DoFn):
    def __init__(self, mode):
        self._mode = mode

    def process(self, batch):
        if self._mode == "fails":
            failure = DeliveryError("cannot write 5 toys to the shelf: it is full. Make room.")
            LIVE.fail(failure)
            raise failure
        if self._mode == "crashes":
            raise RuntimeError("a bug of ours")
        if self._mode == "hangs":
            time.sleep(3600)
        time.sleep(0.5 if self._mode == "slow" else 0.01)
        yield batch


def check(mode):
    if mode == "refuses":
        raise Unreachable("cannot reach the shelf at 127.0.0.1:1. Check --shelf.")
    if mode == "option":
        raise OptionError("--shelf is too high.")


def main():
    mode, endless = sys.argv[1], "--stop_when_idle" not in " ".join(sys.argv)
    line = parse("toy", "A toy.", [JobOptions], sys.argv[2:])

    lifecycle._GRACE_S = 1.0

    def build(pipeline):
        if mode == "two":
            batches = pipeline | ReadFromAll([ReadToys("toy", endless), ReadToys("other toy", endless)])
        else:
            batches = pipeline | ReadToys("toy", endless)
        return batches | beam.ParDo(Sink(mode)) | Acknowledge()

    return run_streaming("toy", line.get(JobOptions), line.beam, [functools.partial(check, mode)], build)


if __name__ == "__main__":
    # Beam pickles by name: the classes must not be known as those of __main__.
    sys.path.insert(0, __file__.rpartition("/")[0])
    import toy_job

    sys.exit(toy_job.main())
