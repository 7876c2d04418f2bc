"""`max_pending_records` bounds what is on its way into the stream, whatever the source; and a time that is never enough."""

import threading

from penstock.io.aws.session import AwsOptions
from penstock.io.kinesis.write.options import KinesisWriteOptions
from penstock.io.kinesis.write.writer import KinesisWriter
from penstock.pipelines.jobs import find_job

AWS = AwsOptions(access_key="AKIDEXAMPLE", secret_key="example", region="us-east-1")


def test_a_batch_waits_for_room_and_a_single_one_never_does():
    stopping = threading.Event()
    options = KinesisWriteOptions("orders", max_pending_records=100, metrics_level="none")
    writer = KinesisWriter(options, AWS, stopping=stopping)
    entered, leave = threading.Semaphore(0), threading.Event()

    def hold(events):
        with writer.room(events):
            entered.release()
            leave.wait(60)

    first = [threading.Thread(target=hold, args=(events,), daemon=True) for events in (60, 40)]
    for thread in first:
        thread.start()
    assert entered.acquire(timeout=60)
    assert entered.acquire(timeout=60)
    third = threading.Thread(target=hold, args=(1,), daemon=True)
    third.start()
    assert not entered.acquire(timeout=0.3), "100 of 100 are pending"
    leave.set()
    assert entered.acquire(timeout=60), "room again"
    for thread in (*first, third):
        thread.join(60)
    with writer.room(5000):
        pass  # alone, a batch of any size goes
    with writer.room(100):
        stopping.set()
        with writer.room(100):
            pass  # a stop holds nobody
    writer.close()


def test_a_time_to_live_below_the_time_that_events_wait_is_refused(capsys):
    """The one option is the sink's, the other the source's; only the job knows both."""
    arguments = ["--stream_name", "orders", "--region", "us-east-1", "--record_ttl", "100"]
    assert find_job("beats-to-kinesis").main(arguments) == 2
    told = "--record_ttl (100 ms) must be greater than --record_max_buffered_time (100 ms)"
    assert told in capsys.readouterr().err
