"""A small Kinesis simulator: see `tests.simulator.simulator`."""

from tests.simulator.simulator import KinesisSimulator, hash_of

__all__ = ["KinesisSimulator", "hash_of"]
