"""Real local servers for tests, started once a run and shared by all its workers (see servers.py)."""

import functools
import importlib.util
import logging
import os
import signal
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import botocore.session
import hypothesis
import pytest

ROOT = Path(__file__).parents[1]

if "local" not in sys.modules:
    # The folder is no part of the installed package, and the root must stay off sys.path (`io` is there).
    _spec = importlib.util.spec_from_file_location(
        "local", ROOT / "local" / "__init__.py", submodule_search_locations=[str(ROOT / "local")]
    )
    assert _spec is not None
    assert _spec.loader is not None
    sys.modules["local"] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules["local"])

from local.flink.cluster import FlinkCluster  # noqa: E402
from local.servers.aws_server import CREDENTIALS, AwsServer  # noqa: E402
from local.servers.elasticsearch_server import ElasticsearchServer  # noqa: E402
from penstock.io import errors  # noqa: E402
from penstock.io.aws import bounded  # noqa: E402
from tests import servers  # noqa: E402
from tests.tools.samples.examples import FEW, FULL, USUAL  # noqa: E402

# Each session of botocore, and each of ours, reads the descriptions of services anew: half of what the tests of AWS take.
botocore.session.create_loader = bounded.create_loader = functools.cache(botocore.session.create_loader)

# How long an example takes is the machine's mood.
for _name, _number in (("fast", FEW), ("penstock", USUAL), ("full", FULL)):
    hypothesis.settings.register_profile(
        _name,
        max_examples=_number,
        deadline=None,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
    )
hypothesis.settings.load_profile("penstock")

_LONGEST_ID = 60
_SLOW_FOLDERS = ("integration", "upstream")
_SLOW_MARKS = ("servers", "kills", "fuzz", "full")
_SERVERS = {"elasticsearch", "secured_elasticsearch", "elasticsearch_factory"}


def pytest_configure(config: pytest.Config) -> None:
    """The run's own folder, made by the controller and inherited by its workers and whatever they start.

    Temporary files lie in it and go with it (jobs that are killed leave some); pytest's `tmp_path` stays to be looked at.
    """
    if hasattr(config, "workerinput"):
        return
    # A shell makes what it starts in the background ignore Ctrl-C, and all that we start would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
    folder = Path(tempfile.mkdtemp(prefix="tests-"))
    folder.chmod(0o755)  # Elasticsearch runs as another user when we are root
    os.environ[servers.FOLDER_VARIABLE] = str(folder)
    temporary = folder / "t"  # a short name: sockets may lie in it
    temporary.mkdir()
    temporary.chmod(0o1777)
    os.environ["TMPDIR"] = tempfile.tempdir = str(temporary)
    # A time-out's SIGTERM must clean up as Ctrl-C does.
    signal.signal(signal.SIGTERM, _terminated)


def _terminated(number: int, frame: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once: a second one must not cut the cleaning short
    raise KeyboardInterrupt


def pytest_unconfigure(config: pytest.Config) -> None:
    """All workers are gone: ends every server of this run, whoever started it."""
    if not hasattr(config, "workerinput"):
        servers.end_all()


@pytest.fixture(autouse=True, scope="session")
def _credentials() -> None:
    """boto3 finds keys, and never looks for real ones."""
    os.environ.update(CREDENTIALS)
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        os.environ.pop(name, None)


@pytest.fixture(autouse=True)
def _no_closed_streams() -> None:
    """A job that ran in this process may have left a log handler on a captured stream that is closed by now."""
    for logger in (logging.getLogger(), logging.getLogger("penstock")):
        for handler in logger.handlers[:]:
            if isinstance(handler, logging.StreamHandler) and getattr(handler.stream, "closed", False):
                logger.removeHandler(handler)


@pytest.fixture(autouse=True)
def _flags_are_named() -> Iterator[None]:
    """A test that gives keywords would change the words of all that come after it."""
    yield
    errors._ARGUMENTS.clear()


@pytest.fixture
def unique_name() -> str:
    """A name for a stream, table or index that no other test uses."""
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture(scope="session")
def elasticsearch() -> servers.SharedElasticsearch:
    """The run's shared Elasticsearch: `.url` and `.client()`; use a `unique_name` for your indices."""
    return servers.shared_elasticsearch()


@pytest.fixture(scope="session")
def secured_elasticsearch() -> servers.SharedElasticsearch:
    """The run's shared Elasticsearch with security: `.password` is that of `elastic`; name users and roles your own."""
    return servers.shared_secured_elasticsearch()


@pytest.fixture
def elasticsearch_factory() -> Iterator[Callable[..., ElasticsearchServer]]:
    """Starts private servers: `factory(settings={...}, password=None)`; `.kill()` and `.start()` at will."""
    with servers.private_elasticsearch() as factory:
        yield factory


@pytest.fixture(scope="session")
def aws() -> servers.SharedAws:
    """The run's shared moto: `.endpoint_url` and `.client(service)`; use a `unique_name` for streams."""
    return servers.shared_aws()


@pytest.fixture
def aws_factory() -> Iterator[Callable[[], AwsServer]]:
    """Starts private moto servers: `.endpoint_url`, `.client(service)`, `.stop()`."""
    with servers.private_aws() as factory:
        yield factory


@pytest.fixture(scope="session")
def flink() -> Iterator[FlinkCluster]:
    """The run's Flink; its tests are one group (tests/tools/jobs/flink.py), so that they have it to themselves."""
    with servers.flink_cluster() as cluster:
        yield cluster


@pytest.fixture
def job_folder(tmp_path: Path) -> Path:
    """A folder for a job's logs and dead letters."""
    return tmp_path


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Long values, and bytes that are no text, are named by their argument.

    Some hold the time (a gzip header does) or random bytes, and all workers must agree on the tests' names.
    """
    binary = isinstance(val, bytes) and not (val.isascii() and val.decode("ascii").isprintable())
    return argname if binary or (isinstance(val, (str, bytes)) and len(val) > _LONGEST_ID) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever lies in the slow folders is marked so, whether its author thought of it or not.

    The others need no server: no test falls between the steps of `./run_local.sh test`, which name their folders.
    What takes long begins first, so that no worker is left with it when the others are done.
    """
    for item in items:
        names: tuple[Any, ...] = getattr(item, "fixturenames", ())
        folder = item.path.relative_to(ROOT / "tests").parts[0]
        if folder in _SLOW_FOLDERS:
            item.add_marker("servers")
        elif _SERVERS.intersection(names) or any(map(item.get_closest_marker, _SLOW_MARKS)):
            message = f"{item.nodeid} belongs in tests/integration: what else is there runs without servers"
            raise pytest.UsageError(message)
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
