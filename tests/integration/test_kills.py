"""Either job is killed in the middle of 20,000 events, several times, and nothing is lost or doubled.

The events come over a real Beats connection from a client that sends again what was not acknowledged. The
moments differ from run to run on purpose; a failure prints the counts at each kill.
"""

import random
import threading

import pytest

from local.demo import evidence
from local.demo.beats_client import Shipper
from tests.tools.jobs.pipeline import log_file
from tests.tools.machine.waiting import wait_until

pytestmark = [pytest.mark.kills, pytest.mark.servers, pytest.mark.long]

EVENTS = 20_000
RATE = 2500
# Counts at which the job is killed: spread over the load, never before or after it.
KILLS = (2500, 7500, 12_500)
# A dead worker's leases are free after 2 s. The small, slow reads keep a restarted job from catching up on all that
# waits in one moment, so that the next kill too comes in the middle.
READING = (
    *("--checkpoint_interval_seconds", "1", "--shard_reads_per_second", "2"),
    *("--additional_settings", "failoverTimeMillis=2000,maxRecords=5"),
)


# The other one dies in tests/integration/workers and in kinesis/test_kinesis_read_kills.py each time.
@pytest.mark.parametrize(
    "victim", ["beats-to-kinesis", pytest.param("kinesis-to-elasticsearch", marks=pytest.mark.full)]
)
def test_a_killed_job_loses_and_doubles_nothing(pipeline, victim):
    file = log_file(pipeline.folder / "a.log", EVENTS)
    running = {
        "beats-to-kinesis": pipeline.start_beats(),
        "kinesis-to-elasticsearch": pipeline.start_kinesis(*READING),
    }
    shipper = Shipper("127.0.0.1", pipeline.port, [file.path], rate=RATE, window=200, backoff_s=(0.1, 0.3))
    thread = threading.Thread(target=shipper.run, daemon=True)
    thread.start()
    moments = []
    for number in KILLS:
        at = number + random.randrange(2000)

        def reached(at=at):
            if victim == "beats-to-kinesis":
                return shipper.counts.shipped >= at
            return pipeline.count() >= at

        wait_until(reached, f"{at} events")
        running[victim].kill()
        moments.append(f"{shipper.counts.acknowledged} acknowledged, {pipeline.count()} documents")
        if victim == "beats-to-kinesis":
            acknowledged = shipper.counts.acknowledged
            assert acknowledged < EVENTS, "killed too late to prove anything"
            # An acknowledgement is a promise: at the moment of the kill, the stream holds it.
            assert len(pipeline.lines_in_stream()) >= acknowledged
            running[victim] = pipeline.start_beats()
        else:
            assert pipeline.count() < EVENTS, "killed too late to prove anything"
            running[victim] = pipeline.start_kinesis(*READING)
    thread.join(120)
    assert shipper.counts.done, (shipper.counts, moments)
    assert shipper.counts.acknowledged == EVENTS
    pipeline.wait_for(EVENTS)
    for job in running.values():
        job.finish()

    found = evidence.arrival(pipeline.client, pipeline.index, [file])
    assert found.exactly_once, (found, moments)
    assert found.documents == EVENTS, (found, moments)
    assert not pipeline.dead_letters()
    if victim == "beats-to-kinesis":
        # Else no kill met anything in flight, and the test would prove too little.
        assert shipper.counts.reconnects >= len(KILLS)
        assert shipper.counts.resent > 0
