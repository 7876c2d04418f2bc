"""The sources of test_flink.py, which the Python workers of the tests' cluster import too (servers.py)."""

import contextlib
import os
import time

import apache_beam as beam
from apache_beam import coders
from apache_beam.io.unbounded_source import CheckpointMark, UnboundedReader, UnboundedSource
from apache_beam.metrics import Metrics
from apache_beam.utils.timestamp import Timestamp


class Journal:
    """What the workers' processes tell: lines of a file."""

    def __init__(self, path):
        self.path = path

    def write(self, *words):
        # One write of a short line to a file opened for appending is never torn apart.
        with open(self.path, "a") as file:
            file.write(" ".join(map(str, words)) + "\n")

    def lines(self, first):
        with contextlib.suppress(FileNotFoundError):
            found = [line.split() for line in self.path.read_text().splitlines()]
            return [words[1:] for words in found if words[0] == first]
        return []


class Mark(CheckpointMark):
    def __init__(self, journal, name, number):
        self.journal, self.name, self.number = journal, name, number

    def finalize_checkpoint(self):
        self.journal.write("final", self.name, self.number)


class Source(UnboundedSource):
    """Counts for ever, a number each `nap_s`; tells the journal of its readers and finalized marks."""

    def __init__(self, journal, name, nap_s, splits=1):
        self.journal, self.name, self.nap_s, self.splits = journal, name, nap_s, splits

    def split(self, desired_num_splits, options=None):
        if self.splits == 1:
            return [self]
        return [Source(self.journal, f"{self.name}{number}", self.nap_s) for number in range(self.splits)]

    def create_reader(self, options, checkpoint_mark):
        number = checkpoint_mark.number if checkpoint_mark else 0
        self.journal.write("reader", self.name, number, os.getpid())
        return Reader(self, number)

    def get_checkpoint_mark_coder(self):
        return coders.PickleCoder()


class Reader(UnboundedReader):
    def __init__(self, source, number):
        self._source, self._number = source, number

    def start(self):
        return self.advance()

    def advance(self):
        time.sleep(self._source.nap_s)
        self._number += 1
        return True

    def get_current(self):
        return self._number

    def get_current_timestamp(self):
        return Timestamp(time.time())

    def get_watermark(self):
        return Timestamp(time.time())

    def get_checkpoint_mark(self):
        return Mark(self._source.journal, self._source.name, self._number)


class FailOnce(beam.DoFn):
    """Passes numbers on; fails when a file stands there, which it takes away."""

    def __init__(self, path):
        self._path = str(path)
        self._seen = Metrics.counter("upstream", "seen")

    def process(self, element):
        self._seen.inc()
        if os.path.exists(self._path):
            os.unlink(self._path)
            raise RuntimeError("as ordered")
        yield element
