"""`pipelines` wires the jobs and runs them.

- `jobs`: one file per job, which wires a read, transforms, sinks and `Acknowledge`.    - `run`: how a job runs.
- `console`: stderr, for a person.    - `status`: the page.    - `check`, `beam_yaml`, `command_line`.
"""

import logging

from penstock.io import moved

if not logging.getLogger().handlers:
    # Beam warns on the root logger while it is imported; without a handler there, that would print to a
    # terminal that belongs to the person who asked for --help.
    logging.getLogger().addHandler(logging.NullHandler())

moved.install()
