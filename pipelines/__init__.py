"""The jobs: each module wires a read, transforms, sinks and `Acknowledge`, and owns its options; nothing else."""

import logging

if not logging.getLogger().handlers:
    # Beam warns on the root logger while it is imported; without a handler there, that would print to a
    # terminal that belongs to the person who asked for --help.
    logging.getLogger().addHandler(logging.NullHandler())
