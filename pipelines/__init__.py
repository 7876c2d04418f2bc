"""`pipelines` wires the jobs and runs them.

Each line knows only those below it.

- `commands`: `penstock check` and its like; the programs of worker processes.
- `jobs`: one file per job, which wires a read, transforms, sinks and `Acknowledge`.
- `logstash`: the chain of a `logstash.conf`.    - `check`: tries what a job needs.    - `beam_yaml`: steps for Beam YAML.
- `run`: how a job runs.    - `workers`: several processes.    - `command_line`, `configuration`: where options come from.
- `beam_arguments`, `flink_options`: the options that Beam and Flink take.
- `status`: the page.    - `console`: stderr, for a person.    - `stopping`: signals.
"""

import logging

from penstock.io import moved

if not logging.getLogger().handlers:
    # Beam warns on the root logger while it is imported; without a handler there, that would print to a
    # terminal that belongs to the person who asked for --help.
    logging.getLogger().addHandler(logging.NullHandler())

moved.install()
