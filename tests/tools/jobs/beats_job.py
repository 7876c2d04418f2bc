"""A pipeline that appends each event to a file, as a process of its own.

usage: beats_job.py PORT FILE READERS   (the port is shared; SIGTERM stops it cleanly)
"""

import os
import signal
import sys
import threading

import apache_beam as beam
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from penstock.io.beats import BeatsOptions, ReadFromBeats
from penstock.io.chain.acknowledge import Acknowledge
from penstock.io.chain.live_objects import LIVE


class Append(beam.DoFn):
    def __init__(self, path):
        self._path = path

    def process(self, batch):
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, b"".join(event.data + b"\n" for event in batch.events))
        os.close(file)
        yield batch


def main():
    port, path, readers = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    options = BeatsOptions(port=port, share_port=True, readers=readers)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=LIVE.stop).start())
    pipeline = beam.Pipeline(runner=FnApiRunner())
    _ = pipeline | ReadFromBeats(options) | beam.ParDo(Append(path)) | Acknowledge()
    thread = threading.Thread(target=pipeline.run, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.2)
    LIVE.close()


if __name__ == "__main__":
    main()
