"""A worker's name tells a successor on the same machine whether it still runs."""

import subprocess
import sys

from penstock.io.kinesis.lease.worker_names import is_gone, name_worker


def test_we_are_not_gone_and_no_name_is_given_twice():
    names = {name_worker() for _ in range(10)}
    assert len(names) == 10
    assert not any(is_gone(name) for name in names)


def test_a_worker_that_ended_is_gone_even_when_its_process_id_lives_on():
    code = "from penstock.io.kinesis.lease.worker_names import name_worker; print(name_worker())"
    dead = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert is_gone(dead)
    host, pid, started, kernel, number = name_worker().split(":")
    assert is_gone(":".join((host, pid, str(int(started) - 1), kernel, number)))
    assert is_gone(":".join((host, str(1 << 22), started, kernel, number)))


def test_nothing_is_known_of_other_machines_and_other_peoples_names():
    host, _, started, _, number = name_worker().split(":")
    for name in (
        "worker-16576",
        "w1",
        "a:b:c:d:e",
        f"{host}:4194304:{started}:0123456789abcdef:{number}",
        f"{host}:1:2::3",
        "",
    ):
        assert not is_gone(name)
