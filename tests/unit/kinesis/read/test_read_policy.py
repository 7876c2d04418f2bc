"""The read's IAM policy: what is printed is what is called, and each denial ends the job with one line."""

import json
import re
from pathlib import Path

import botocore.client
import moto
import pytest
from botocore.exceptions import ClientError

from penstock.io.aws.error_codes import ACTIONS
from penstock.io.aws.session import AwsOptions, AwsSession
from penstock.io.errors import AccessDenied
from penstock.io.kinesis.lease.table import LeaseTable
from penstock.io.kinesis.positions import SHARD_END
from penstock.io.kinesis.read.metrics import ReadMetrics
from penstock.io.kinesis.read.policy import READ_HELP, read_policy
from penstock.io.kinesis.read.preflight import require_readable
from penstock.io.kinesis.read_options import KinesisReadOptions
from penstock.io.kinesis.shard_map import list_shards
from penstock.io.kinesis.wire.calls import CallFailed
from tests.tools.models.stream_model import SteppedLive, StreamModel

KEYS = AwsOptions(access_key="AKIDEXAMPLE", secret_key="example")
PRINCIPAL = "arn:aws:iam::111122223333:role/worker"
OPTIONS = KinesisReadOptions(
    "orders", application_name="app", checkpoint_interval_seconds=1, metrics="cloudwatch"
)


def actions():
    found = set()
    for statement in read_policy()["Statement"]:
        action = statement["Action"]
        found |= {action} if isinstance(action, str) else set(action)
    return found


class Recorded(StreamModel):
    """A stream model that tells its calls, and refuses one of them."""

    def __init__(self, calls, denied):
        super().__init__()
        self.calls = calls
        self.denied = denied

    def _call(self, operation):
        self.calls.add(operation)
        if operation == self.denied:
            raise CallFailed(operation, "AccessDeniedException", "User is not authorized", 400)

    def get_records(self, *given, **named):
        self._call("GetRecords")
        return super().get_records(*given, **named)

    def get_shard_iterator(self, *given, **named):
        self._call("GetShardIterator")
        return super().get_shard_iterator(*given, **named)


@pytest.fixture
def calls(monkeypatch):
    """The operations that were called; `calls.denied` names one that is refused."""

    class Calls(set):
        denied = None

    made = Calls()
    real = botocore.client.BaseClient._make_api_call

    def record(self, operation, arguments):
        if operation not in ("GetCallerIdentity", "CreateStream"):
            made.add(operation)
        if operation == made.denied:
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, operation)
        return real(self, operation, arguments)

    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", record)
    monkeypatch.setattr(AwsSession, "principal", lambda self: PRINCIPAL)
    with moto.mock_aws():
        AwsSession(KEYS).client("kinesis").create_stream(StreamName="orders", ShardCount=1)
        yield made


def live_a_life(calls):
    """Everything a reader ever calls: start, read, checkpoint, lose, follow a split, forget, metrics."""
    require_readable(OPTIONS, KEYS)
    session = AwsSession(KEYS)
    list_shards(session, "orders")
    model = Recorded(calls, calls.denied)
    store = LeaseTable(session, "app")
    now = [0.0]
    live = SteppedLive(model, store, OPTIONS, lambda: now[0])

    def work(rounds=4):
        for _ in range(rounds):
            now[0] += 2.0
            live.tick()
            live.pool.step_all()
            for batch in live.take_all():
                live.acknowledge(batch.receipt.tokens)
            if live.failure is not None:
                raise live.failure

    model.put("key", b"x")
    work()
    (lease,) = store.scan()
    store.replace(lease, lease.taken_by("other"))  # a write that fails looks at the row again
    live.renew_all()
    now[0] += 11.0
    work()
    first = next(iter(model.shards))
    model.split(first)
    for n in range(20):
        model.put(f"key-{n}", b"x")
    work(8)
    assert {each.shard_id: each for each in store.scan()}[first].position == SHARD_END
    del model.shards[first], model.records[first]
    now[0] += 61.0
    work(8)
    assert first not in {each.shard_id for each in store.scan()}
    failures = []
    metrics = ReadMetrics(session, "app", failures.append)
    metrics.sample("s", {"Time": 1.0})
    metrics.upload()
    live.close()
    if failures:
        raise failures[0]


def test_the_policy_names_what_is_called_and_nothing_else(calls):
    live_a_life(calls)
    assert {ACTIONS[operation] for operation in calls} == actions()


@pytest.mark.parametrize("action", sorted(actions()))
def test_every_denial_is_one_line_with_principal_action_and_resource(calls, action):
    calls.denied = next(operation for operation, needed in ACTIONS.items() if needed == action)
    with pytest.raises(AccessDenied) as caught:
        live_a_life(calls)
    text = str(caught.value)
    assert "\n" not in text
    assert f"{PRINCIPAL} needs {action} on " in text
    assert ("orders" in text) == action.startswith("kinesis:")
    assert ("app" in text) == (not action.startswith("kinesis:"))


def test_help_and_docs_show_the_same_policy():
    shown = json.dumps(read_policy(), indent=2)
    assert shown in READ_HELP
    docs = (Path(__file__).parents[4] / "docs" / "iam.md").read_text()
    assert shown in docs
    for action in [*actions(), "kms:Decrypt", "sts:AssumeRole"]:
        assert f"| `{action}`" in docs


def test_the_readme_shows_it_too():
    blocks = re.findall(
        r"```json\n(.*?)```", (Path(__file__).parents[4] / "README.md").read_text(), re.DOTALL
    )
    assert read_policy() in [json.loads(block) for block in blocks]
