"""The kernel that makes events of CloudWatch Logs makes those that Python makes, or leaves the record to it."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.transforms.batch import Event
from penstock.transforms.codecs import _cloudwatch_logs
from penstock.transforms.codecs._cloudwatch_logs import CloudWatchLogs
from penstock.transforms.codecs._json_values import NotJson
from tests.tools.samples.events import ToyOrigin
from tests.unit.codecs import samples

pytestmark = pytest.mark.skipif(
    _cloudwatch_logs._kernel is None, reason="the kernel isn't built, or switched off"
)
PLACE = Event(b"", ToyOrigin(b"p"), 7, 3)


def both(record, monkeypatch):
    """What the reader gives with and without the kernel, and whether the kernel made it."""
    made = []
    kernel = _cloudwatch_logs._kernel

    class Watched:
        def make_events(self, *arguments):
            made.append(kernel.make_events(*arguments))
            return made[-1]

    outcomes = []
    for each in (Watched(), None):
        monkeypatch.setattr(_cloudwatch_logs, "_kernel", each)
        try:
            outcomes.append(CloudWatchLogs().events(record, PLACE, 3))
        except NotJson as error:
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]
    return outcomes[0], bool(made and made[0] is not None)


def test_the_usual_record_is_the_kernel_s(monkeypatch):
    messages = ("text", 'quotes " and \\ and \n', "é \U0001f600", "")
    (events, _), by_kernel = both(samples.subscription(*messages), monkeypatch)
    assert by_kernel
    assert [orjson.loads(event.data)["message"] for event in events] == list(messages)
    assert [event.part for event in events] == [3, 4, 5, 6]


LOG_EVENTS = st.fixed_dictionaries(
    {
        "id": st.text("0aZ", max_size=60) | st.text(max_size=4) | st.just("1" * 1100),
        "timestamp": st.integers(0, 253_402_300_799_999)
        | st.sampled_from(
            [-1, 253_402_300_800_000, 2**63 - 1, 951_782_399_999, 951_782_400_000, 4_107_542_399_999]
        ),
        "message": st.text(max_size=20) | st.sampled_from([None, 1, {}, []]),
    },
    optional={"extractedFields": st.just({"a": "b"})},
)


@given(st.lists(LOG_EVENTS, max_size=4), st.text(max_size=5) | st.just("g" * 1100))
def test_any_record(log_events, group):
    record = {
        "messageType": "DATA_MESSAGE",
        "owner": "1",
        "logGroup": group,
        "logStream": "s",
        "logEvents": log_events,
    }
    with pytest.MonkeyPatch.context() as monkeypatch:
        both(orjson.dumps(record), monkeypatch)
