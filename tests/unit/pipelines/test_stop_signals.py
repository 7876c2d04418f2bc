"""Signals that ask for a stop: gathered for a loop, left alone where they are ignored, and given back."""

import os
import signal
import threading

import pytest

from penstock.pipelines.stopping.stop_signals import StopSignals, handled

ASKING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture
def before():
    """How the signals are handled outside; SIGHUP is ignored, as under `nohup`."""
    was = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    yield [signal.getsignal(number) for number in ASKING]
    signal.signal(signal.SIGHUP, was)


def test_another_thread_gets_them_in_order(before):
    signals, got = StopSignals(), []
    signals.start()
    try:

        def gather():
            while len(got) < 2:
                got.extend(signals.wait(100))

        thread = threading.Thread(target=gather)
        thread.start()
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
            os.kill(os.getpid(), number)
        thread.join(60)
        assert got == [signal.SIGTERM, signal.SIGINT], "the ignored one stays ignored"
        assert signals.wait(0) == []
    finally:
        signals.end()
    assert [signal.getsignal(number) for number in ASKING] == before
    assert signal.set_wakeup_fd(-1) == -1


def test_a_handler_is_there_for_a_block(before):
    def handler(number, frame):
        pass

    with handled(handler) as numbers:
        assert numbers == (signal.SIGINT, signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is handler
    assert [signal.getsignal(number) for number in ASKING] == before
