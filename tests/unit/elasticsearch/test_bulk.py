import orjson
import pytest

from penstock.io.elasticsearch.bulk._bulk import BadReply, Bulk, Item, cut, in_order, index_of, read_reply
from penstock.io.elasticsearch.bulk._judging import Outcome, Policy, judge, without_overtaken
from penstock.io.elasticsearch.bulk._reasons import Cause, reason_of, shortened, without_values
from tests.tools.samples.events import event

CREATE, INDEX, UPDATE, DELETE = (
    b'{"%s":{}}\n' % name for name in (b"create", b"index", b"update", b"delete")
)


def _reply(*statuses: int, errors: bool = False, action: str = "create") -> bytes:
    return orjson.dumps({"errors": errors, "items": [{action: {"status": status}} for status in statuses]})


def test_bulks_are_cut_by_count_and_bytes_and_lose_nothing():
    documents = [b"h\n%b\n" % (b"x" * (size - 3)) for size in (10, 10, 10, 50, 10, 10, 10)]
    events = [event(b"%d" % i) for i in range(7)]
    bulks = cut(events, documents, 3, 25)
    assert [[len(each) for each in bulk.documents()] for bulk in bulks] == [
        [10, 10],
        [10],
        [50],
        [10, 10],
        [10],
    ]
    assert [e for bulk in bulks for e in bulk.events] == events
    assert b"".join(bulk.body for bulk in bulks) == b"".join(documents)
    assert [len(bulk.events) for bulk in cut(events, documents, 3, 1000)] == [3, 3, 1]
    assert [len(bulk.events) for bulk in cut(events, documents, 7, 110)] == [7]
    assert [len(bulk.events) for bulk in cut(events, documents, 7, 109)] == [6, 1]
    assert cut([], [], 3, 25) == []


def test_halves_and_choice_keep_events_beside_their_lines():
    body = b'{"create":1}\n{1}\n{"delete":2}\n{"index":3}\n{3}\n'
    bulk = Bulk([event(b"a"), event(b"b"), event(b"c")], body, attempts=2)
    assert bulk.documents() == [b'{"create":1}\n{1}\n', b'{"delete":2}\n', b'{"index":3}\n{3}\n']
    first, second = bulk.halves()
    assert (first.body, second.body) == (b'{"create":1}\n{1}\n', b'{"delete":2}\n{"index":3}\n{3}\n')
    assert [e.data for e in second.events] == [b"b", b"c"]
    chosen = bulk.only([0, 2])
    assert chosen.body == b'{"create":1}\n{1}\n{"index":3}\n{3}\n'
    assert ([e.data for e in chosen.events], chosen.attempts) == ([b"a", b"c"], 2)


def test_a_reply_that_all_is_written_is_none():
    assert read_reply(_reply(201, 200, 201), 3) is None


def test_other_replies_are_read_item_by_item():
    items = read_reply(_reply(201, 409, errors=True), 2)
    assert items is not None
    assert [item.status for item in items] == [201, 409]
    assert read_reply(_reply(404, action="delete"), 1) == [Item(404)]


@pytest.mark.parametrize(
    ("reply", "sent"),
    [
        (_reply(201, 201), 3),
        (_reply(201, 201), 1),
        (_reply(), 1),
        (_reply(201, 429, errors=True), 3),
        (b'{"errors":false}', 1),
        (b"{}", 1),
        (b"", 1),
        (b"<html>", 1),
        (b'{"errors":false,"items":[{}]}', 1),
        (b'{"errors":false,"items":[{"create":{}}]}', 1),
        (b'{"errors":false,"items":[{"create":{"status":201},"index":{"status":201}}]}', 1),
        (b'{"errors":false,"items":[{"create":{"status":201,"x":"\\"status\\":20"}}]}', 2),
        (_reply(7, errors=True), 1),
        (_reply(-200, errors=True), 1),
        (b'{"errors":true,"items":[{"create":{"status":1e400}}]}', 1),
    ],
)
def test_a_reply_that_does_not_speak_of_every_document_is_an_error(reply, sent):
    with pytest.raises(BadReply):
        read_reply(reply, sent)


@pytest.mark.parametrize(
    ("status", "error", "line", "outcome"),
    [
        (200, None, INDEX, Outcome.WRITTEN),
        (201, None, CREATE, Outcome.WRITTEN),
        (404, None, DELETE, Outcome.WRITTEN),  # deleted already
        (404, "index_not_found_exception", DELETE, Outcome.REFUSED),
        (404, "document_missing_exception", UPDATE, Outcome.REFUSED),
        (409, "version_conflict_engine_exception", CREATE, Outcome.REPLAYED),
        (409, "version_conflict_engine_exception", UPDATE, Outcome.RETRY),
        (409, "version_conflict_engine_exception", INDEX, Outcome.REFUSED),
        (400, "document_parsing_exception", CREATE, Outcome.REFUSED),
        (429, "es_rejected_execution_exception", CREATE, Outcome.RETRY),
        (502, "x", CREATE, Outcome.RETRY),
        (503, "unavailable_shards_exception", CREATE, Outcome.RETRY),
        (504, "x", CREATE, Outcome.RETRY),
        (500, "node_closed_exception", CREATE, Outcome.RETRY),
        (500, "fail_processor_exception", CREATE, Outcome.REFUSED),
        (401, "security_exception", CREATE, Outcome.DENIED),
        (403, "security_exception", CREATE, Outcome.DENIED),
        (413, "x", CREATE, Outcome.REFUSED),
        (403, "cluster_block_exception", CREATE, Outcome.BLOCKED),
        (429, "cluster_block_exception", CREATE, Outcome.BLOCKED),
        (400, "index_closed_exception", INDEX, Outcome.BLOCKED),
    ],
)
def test_statuses_are_judged(status, error, line, outcome):
    assert judge(Item(status, Cause(error) if error else None), line, Policy()) is outcome


def test_policies():
    conflict = Item(409, Cause("version_conflict_engine_exception"))
    assert judge(conflict, CREATE, Policy(own_ids=False)) is Outcome.REFUSED
    assert judge(conflict, INDEX, Policy(versioned=True)) is Outcome.REPLAYED
    custom = Policy(dead_letter_codes=frozenset({403, 429}))
    assert judge(Item(403), CREATE, custom) is Outcome.REFUSED
    assert judge(Item(429), CREATE, custom) is Outcome.REFUSED


def test_the_reason_is_one_bounded_line_with_the_innermost_cause():
    error = Cause("a", "failed to parse", Cause("b", "middle", Cause("c", "inner\nmost")))
    assert reason_of(error) == "failed to parse: middle: inner most"
    assert reason_of(Cause("only_type")) == "only_type"
    assert reason_of(None) == ""
    mapping = Cause(
        "a", "Limit of total fields exceeded " + "x" * 5000, Cause("b", "the cause: immense term")
    )
    assert len(reason_of(mapping)) == 1000
    assert reason_of(mapping).startswith("Limit of total fields")
    assert reason_of(mapping).endswith("the cause: immense term")
    assert shortened("short") == "short"


@pytest.mark.parametrize(
    ("reason", "logged"),
    [
        (
            "failed to parse field [n] of type [long] in document with id 'i'. Preview of field's value: 'it's secret'",
            "failed to parse field [n] of type [long] in document with id '...'",
        ),
        ('For input string: "sec"ret"', "For input string: '...'"),
        (
            "failed to parse date field [secret] with format [strict_date_optional_time||epoch_millis]",
            "failed to parse date field [...] with format [strict_date_optional_time||epoch_millis]",
        ),
        ("Numeric value (4711) out of range of long", "Numeric value [...] out of range of long"),
        ("Value [4711] is out of range for an integer", "Value [...] is out of range for an integer"),
        (
            'Document contains at least one immense term in field="message"',
            'Document contains at least one immense term in field="message"',
        ),
    ],
)
def test_a_reason_in_the_log_holds_no_value_of_the_event(reason, logged):
    assert without_values(reason) == logged


def test_what_lies_in_the_failure_store_was_refused_by_the_mapping():
    reply = b'{"errors":false,"items":[{"create":{"status":201,"failure_store":"used"}}]}'
    items = read_reply(reply, 1)
    assert items is not None
    assert judge(items[0], CREATE, Policy()) is Outcome.REFUSED


def test_the_index_of_an_action_line():
    assert index_of(b'{"create":{"_index":"a-\\u00fc","_id":"x"}}\n{"_index":"no"}\n') == "a-ü"
    assert index_of(b"{}") == ""


def test_an_action_that_a_later_one_has_made_needless_is_not_sent_again():
    """Of one id within one bulk: sent again, the older version would stand where the newer one does."""
    documents = [
        b'{"%b":{"_index":"i","_id":"%b"}}\n{}\n' % (action, name)
        for action, name in [
            (b"index", b"a"),
            (b"index", b"b"),
            (b"index", b"a"),
            (b"update", b"b"),
            (b"delete", b"c"),
        ]
    ]
    items = [Item(429), Item(429), Item(200), Item(200), Item(429)]
    assert without_overtaken([0, 1, 4], items, documents) == [1, 4]


def _item(name, status):
    return Item(status, id=name)


@pytest.mark.parametrize(
    ("sent", "told", "statuses"),
    [
        (["a", "b"], [("a", 201), ("b", 500)], [201, 500]),
        (["a", "b", "c"], [("c", 200), ("a", 201), ("b", 500)], [201, 500, 200]),
        (["a", "a"], [("a", 200), ("a", 409)], [200, 409]),  # in order
        (
            ["a", "b"],
            [("b", 201), ("a", 409)],
            [201, 409],
        ),  # nothing that a pipeline displaces, so not looked at
        (
            ["b", "a", "a"],
            [("a", 201), ("a", 400), ("b", 201)],
            [201, 400, 400],
        ),  # which of the two is not known
        (
            ["a", "b", "c"],
            [("c", 201), ("x", 201), ("y", 201)],
            [201, 201, 201],
        ),  # ids that a pipeline has changed
        (["a", "b", "c"], [("c", 201), ("x", 429), ("y", 400)], [429, 429, 201]),
        (["a", "b"], [("b", 201), (None, 400)], [400, 201]),
    ],
)
def test_items_in_another_order_are_found_by_their_ids(sent, told, statuses):
    documents = [b'{"create":{"_index":"i","_id":"%s"}}\n{"_id":"no"}\n' % name.encode() for name in sent]
    items = [_item(name, status) for name, status in told]
    assert [item.status for item in in_order(items, documents)] == statuses
