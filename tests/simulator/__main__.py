"""`python -m tests.simulator --port 4567 --stream orders:4`: a Kinesis on loopback until it is ended."""

import argparse
import signal
import threading

from tests.simulator.simulator import KinesisSimulator


def main() -> None:
    parser = argparse.ArgumentParser(prog="simulator", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--stream", action="append", default=[], metavar="NAME:SHARDS")
    parser.add_argument("--forget", action="store_true", help="count records, keep none (for benchmarks)")
    parser.add_argument("--throttle", action="store_true", help="1,000 records and 1 MiB a second and shard")
    arguments = parser.parse_args()
    end = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: end.set())
    with KinesisSimulator(arguments.port) as kinesis:
        for each in arguments.stream:
            name, _, shards = each.partition(":")
            stream = kinesis.create_stream(name, int(shards or 1))
            stream.keep = not arguments.forget
            if arguments.throttle:
                stream.throttle()
        print(kinesis.endpoint_url, flush=True)
        end.wait()


if __name__ == "__main__":
    main()
