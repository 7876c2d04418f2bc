"""A job of your own whose code is in two files, so that workers elsewhere must be given the second one.

cd examples/own_module
python -m pip wheel --no-deps --wheel-dir . .
python job.py --stream_name lines --beats_port 5044 --runner=FlinkRunner ... --extra_package=./helpers-1.0-py3-none-any.whl

Or without building it yourself: --setup_file=./setup.py (docs/submitting.md says what either needs). On this machine
nothing is needed: `python job.py --stream_name lines --beats_port 5044`.
"""

import sys

import helpers

from penstock.io.aws import AwsOptions
from penstock.io.beats import BeatsOptions, ReadFromBeats
from penstock.io.dead_letters import WriteDeadLetters
from penstock.io.kinesis import KinesisWriteOptions, WriteToKinesis
from penstock.pipelines.command_line import parse
from penstock.pipelines.run.chain import connect, live_chain
from penstock.pipelines.run.streaming import JobOptions, run_streaming
from penstock.transforms import MapEvents


def main() -> int:
    line = parse("job.py", "Beats to Kinesis.", [BeatsOptions, KinesisWriteOptions, AwsOptions, JobOptions])
    aws, job = line.get(AwsOptions), line.get(JobOptions)
    steps = live_chain(
        ("ReadFromBeats", ReadFromBeats(line.get(BeatsOptions))),
        ("AddTeam", MapEvents(helpers.add_team)),
        ("WriteToKinesis", WriteToKinesis(line.get(KinesisWriteOptions), aws)),
        dead_letters=WriteDeadLetters(job.dead_letter_url("own-module"), aws=aws),
    )
    return run_streaming("own-module", job, line.beam, (), lambda pipeline: connect(pipeline, steps))


if __name__ == "__main__":
    sys.exit(main())
