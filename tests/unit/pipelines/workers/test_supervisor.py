"""The parent of workers tells of them while one dies."""

from penstock.io.chain.source_status import SourceStatus
from penstock.pipelines.job_options import JobOptions
from penstock.pipelines.status.seen import Seen
from penstock.pipelines.workers import supervisor


def told(events):
    source = SourceStatus(
        key="beats", text="", connected=True, stopping=False, failure="", events=events, bytes=0,
        acknowledged_events=events, returned_chunks=0, pending_events=0, pending_bytes=0, max_pending_events=9,
        max_pending_bytes=9, lag_s=0.0, patience_s=0.0, peers=[], unread=[],
    )  # fmt: skip
    return Seen(sources=[source])


class Ended:
    """A process, and the thread that read what it told."""

    pid = 4711

    @property
    def process(self):
        return self

    def join(self, timeout):
        pass

    def end(self):
        pass


def test_no_event_is_counted_twice_or_not_at_all_while_a_worker_ends():
    """The page's thread may look between any two steps of the thread that notes the end."""
    job, looks = JobOptions(workers="2"), []
    parent = supervisor.Supervisor("job", "job", job, [], 1.0)

    class Watched(supervisor._Worker):
        def __setattr__(self, name, value):
            super().__setattr__(name, value)
            if watching:
                seen = parent.see()
                looks.append(sum(source.events for source in seen.sources))
                assert sum(worker.events for worker in seen.workers) == looks[-1]

    watching = False
    parent._workers = {1: Watched(1), 2: Watched(2)}
    for worker, events in zip(parent._workers.values(), (100, 30), strict=True):
        worker._take(told(events))
        worker.process = worker._reader = Ended()
    watching = True
    parent._workers[1].reap()
    watching = False
    assert looks
    assert set(looks) == {130}
