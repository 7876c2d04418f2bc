"""These fixtures serve the integration tests."""

import logging
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from penstock.io.chain.live_objects import LIVE
from tests.servers import SharedAws, SharedElasticsearch
from tests.tools.jobs.pipeline import Pipeline
from tests.tools.jobs.planted import Peers, commands_of, peers_of


@pytest.fixture
def pipeline(
    tmp_path: Path, elasticsearch: SharedElasticsearch, aws: SharedAws, unique_name: str
) -> Iterator[Pipeline]:
    """Both jobs, not yet started, on a stream of two shards of their own."""
    running = Pipeline(tmp_path, elasticsearch, aws, unique_name)
    try:
        yield running
    finally:
        running.close()


@pytest.fixture
def planted(tmp_path: Path) -> Iterator[Peers]:
    """The peers of jobs that have secrets planted in their environment."""
    with peers_of(tmp_path) as made:
        yield made


@pytest.fixture
def start_planted(planted: Peers) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Starts `penstock ARGUMENTS` as such a job; what still runs at the end is killed."""
    with commands_of(planted) as begin:
        yield begin


@pytest.fixture
def log_as_it_was() -> Iterator[None]:
    """Undoes what a job does to the process that runs it, where that is ours: its log, hooks, and what it left open."""
    root, penstock = logging.getLogger(), logging.getLogger("penstock")
    handlers, root_level, level, hook = root.handlers[:], root.level, penstock.level, threading.excepthook
    yield
    root.handlers[:], threading.excepthook = handlers, hook
    root.setLevel(root_level)
    penstock.setLevel(level)
    LIVE.close()
