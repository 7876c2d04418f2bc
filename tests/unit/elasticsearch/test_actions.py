import orjson
import pytest

from penstock.io.elasticsearch import ElasticsearchOptions
from penstock.io.elasticsearch.bulk._actions import DocumentMaker
from penstock.transforms.document import with_document
from tests.tools.samples.events import event

DATA = b'{"@timestamp":"2026-11-22T01:02:03Z","s":"x","v":7,"op":"index"}'


def _lines(data: bytes = DATA, name: str | None = "i1", **options):
    one = event(data)
    one.id, one.timestamp = name, "2026-11-22T01:02:03Z"
    maker = DocumentMaker(ElasticsearchOptions(**options))
    made = maker.document(one)
    for _ in range(2):  # at first, and from memory
        assert maker.documents([one, one]) == [made] * 2
        (bulk,) = maker.bulks([one, one], 10, 1 << 20)
        assert (bulk.events, bulk.body) == ([one, one], made * 2)
    return _split(made)


def _split(document: bytes):
    """The line of the action, and that of the source: empty where there is none."""
    head, source, *rest = document.split(b"\n")
    assert rest == ([b""] if source else [])
    return head, source


def test_by_default_an_event_is_created_under_its_own_id_in_the_index_of_its_day():
    head, source = _lines()
    assert orjson.loads(head) == {"create": {"_index": "logstash-2026.11.22", "_id": "i1"}}
    assert source == DATA


def test_names_are_escaped():
    head, _ = _lines(name='a"b\\c\n\u2028é')
    assert orjson.loads(head)["create"]["_id"] == 'a"b\\c\n\u2028é'
    head, _ = _lines(b'{"s":"a\\"},\\n{"}', index="%{s}")
    assert orjson.loads(head)["create"]["_index"] == 'a"},\n{'


def test_a_newline_between_tokens_cannot_end_the_line():
    _, source = _lines(b'{"a":\n1}\n{"delete":{"_index":"x","_id":"1"}}')
    assert source == b'{"a": 1} {"delete":{"_index":"x","_id":"1"}}'


def test_without_an_id_elasticsearch_makes_one():
    assert orjson.loads(_lines(name=None)[0]) == {"create": {"_index": "logstash-2026.11.22"}}
    assert orjson.loads(_lines(document_id="none")[0]) == {"create": {"_index": "logstash-2026.11.22"}}


@pytest.mark.parametrize("extra", [{}, {"routing": "%{s}", "pipeline": "p-%{s}"}])
def test_references_for_index_and_id(extra):
    head, source = _lines(index="i-%{s}-%{+yyyy}", document_id="%{v}", action="index", **extra)
    meta = orjson.loads(head)["index"]
    assert (meta["_index"], meta["_id"]) == ("i-x-2026", "7")
    if extra:
        assert (meta["routing"], meta["pipeline"]) == ("x", "p-x")
    assert source == DATA


def test_versions():
    head, _ = _lines(action="index", version="%{v}", version_type="external")
    assert orjson.loads(head)["index"] == {
        "_index": "logstash-2026.11.22", "_id": "i1", "version": 7, "version_type": "external",
    }  # fmt: skip
    with pytest.raises(ValueError, match="no whole number"):
        _lines(action="index", version="%{s}", version_type="external")


def test_the_action_may_come_from_the_event():
    head, source = _lines(action="%{op}")
    assert "index" in orjson.loads(head)
    assert source == DATA
    with pytest.raises(ValueError, match="none of index"):
        _lines(action="%{s}")
    with pytest.raises(ValueError, match="without a document id"):
        _lines(b'{"op":"delete"}', action="%{op}", name=None)


def test_delete_has_no_source():
    assert _lines(action="delete")[1] == b""


def test_updates():
    head, source = _lines(action="update", doc_as_upsert=True, retry_on_conflict=4)
    assert orjson.loads(head)["update"]["retry_on_conflict"] == 4
    assert orjson.loads(source) == {"doc": orjson.loads(DATA), "doc_as_upsert": True}
    _, source = _lines(action="update", upsert='{"n":\n0}')
    assert orjson.loads(source) == {"doc": orjson.loads(DATA), "upsert": {"n": 0}}
    _, source = _lines(
        action="update", script="ctx._source.n += params.e.v", script_var_name="e", upsert='{"n":0}'
    )
    assert orjson.loads(source) == {
        "script": {
            "lang": "painless",
            "source": "ctx._source.n += params.e.v",
            "params": {"e": orjson.loads(DATA)},
        },
        "upsert": {"n": 0},
    }
    _, source = _lines(action="update", script="s1", script_type="indexed", scripted_upsert=True)
    assert orjson.loads(source) == {
        "script": {"id": "s1", "params": {"event": orjson.loads(DATA)}}, "scripted_upsert": True, "upsert": {},
    }  # fmt: skip
    _, source = _lines(action="update", script="s", doc_as_upsert=True)
    assert orjson.loads(source)["upsert"] == orjson.loads(DATA)


def test_a_changed_event_is_serialised_anew_and_what_json_cannot_hold_raises():
    maker = DocumentMaker(ElasticsearchOptions())
    assert _split(maker.document(with_document(event(b"{}"), {"a": "\n"})))[1] == b'{"a":"\\n"}'
    with pytest.raises(TypeError):
        maker.document(with_document(event(b"{}"), {"a": object()}))


def test_the_memory_of_index_names_is_bounded():
    maker = DocumentMaker(ElasticsearchOptions(index="%{n}"))
    for number in range(3000):
        maker.document(event(b'{"n":%d}' % number))
    assert len(maker._prefixes) <= 1024


def test_what_is_remembered_of_one_day_is_not_told_of_another():
    maker = DocumentMaker(ElasticsearchOptions(index="i-%{+YYYY.MM.dd}"))
    times = [
        "2026-11-22T01:02:03Z",
        "2026-11-22 01:02:03Z",
        "2026-11-23T01:02:03Z",
        "2026-99-99T00:00:00Z",
        None,
    ]
    times.append("2026-11-22T01:02:03+23:00")
    events = []
    for time in times * 3:
        one = event(b"{}")
        one.id, one.timestamp = "i", time
        events.append(one)
    expected = ["2026.11.22", "2026.11.22", "2026.11.23", "2026.11.18", "2026.11.18", "2026.11.21"] * 3
    (bulk,) = maker.bulks(events, 100, 1 << 20)
    for documents in (maker.documents(events), bulk.documents()):
        heads = [_split(document)[0] for document in documents]
        assert [orjson.loads(head)["create"]["_index"][2:] for head in heads] == expected


BEAT = b'{"@timestamp":"2026-11-22T01:02:03Z","@metadata":{"beat":"filebeat","pipeline":"p1"},"m":1}'


def test_metadata_serves_references_and_is_not_stored():
    head, source = _lines(BEAT, pipeline="%{[@metadata][pipeline]}")
    assert orjson.loads(head)["create"]["pipeline"] == "p1"
    assert source == b'{"@timestamp":"2026-11-22T01:02:03Z","m":1}'
    assert _lines(BEAT)[1] == b'{"@timestamp":"2026-11-22T01:02:03Z","m":1}'
    assert _lines(BEAT, keep_metadata=True)[1] == BEAT
    update = orjson.loads(_lines(BEAT, action="update")[1])
    assert "@metadata" not in update["doc"]
    script = orjson.loads(_lines(BEAT, action="update", script="s")[1])
    assert "@metadata" not in script["script"]["params"]["event"]
    changed = with_document(event(b"{}"), {"@metadata": {}, "a": 1})
    assert _split(DocumentMaker(ElasticsearchOptions()).document(changed))[1] == b'{"a":1}'
    assert changed.document == {"@metadata": {}, "a": 1}
