"""Whatever stands in the field it reads, a filter touches no field but its own, and what it leaves is JSON."""

import copy
import functools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.transforms.logstash import compile_filters
from tests.tools.samples.examples import examples

FILTERS = [
    "grok { match => { source => '%{IPORHOST:[out][a]} %{NUMBER:[out][b]:int}' } }",
    "grok { match => { source => ['%{SYSLOGBASE}', '(?<x>.)'] } target => out break_on_match => false }",
    "date { match => [source, ISO8601, 'dd/MMM/yyyy:HH:mm:ss Z', UNIX, UNIX_MS] target => '[out][t]' }",
    "dissect { mapping => { source => '%{[out][a]} %{+[out][a]}=%{[out][b]}' } convert_datatype => { '[out][b]' => int } }",
    "kv { source => source target => out allow_duplicate_values => false recursive => true }",
    "kv { source => source target => out value_split => '=:' trim_key => ' ' remove_char_value => '<' }",
    "json { source => source target => out }",
    "csv { source => source target => out convert => { column1 => integer column2 => float column3 => date_time } }",
    "translate { source => source target => out dictionary => { 'a' => 1 'b.c' => 2 } fallback => 'none' }",
    "translate { source => source target => out dictionary => { '^a' => 1 } regex => true exact => false }",
    "useragent { source => source target => out }",
    "fingerprint { source => [source, absent] target => out method => SHA256 concatenate_sources => true }",
    "fingerprint { source => source target => out method => MURMUR3 }",
    "urldecode { field => source }",
    "cidr { address => ['%{source}'] network => ['10.0.0.0/8', '::/0'] add_field => { out => 1 } }",
    "syslog_pri { syslog_pri_field_name => source ecs_compatibility => disabled }",
]
OWN = {
    "source",
    "out",
    "tags",
    "syslog_facility",
    "syslog_facility_code",
    "syslog_severity",
    "syslog_severity_code",
}
texts = st.text(max_size=20) | st.sampled_from(
    [
        "a=b c=d", "a=(b=c d=e)", '{"a":[1,{"b":null}]}', "[1]", '"a"', "a,1,2.5,2026-01-01T00:00:00", '"a', "10.0.0.7 5",
        "2026-01-01T00:00:00Z", "22/Nov/2026:12:00:00 +0000", "1500000000.25", "9" * 400, "1e400", "%41%zz%ff+",
        "\U0001f600",
    ]
)  # fmt: skip
numbers = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@functools.cache
def compiled(written):
    return compile_filters(f"filter {{ {written} }}")


@pytest.mark.parametrize("written", FILTERS)
@given(
    source=values | texts,
    others=st.dictionaries(st.sampled_from(["message", "host", "[x]", "a"]), values, max_size=3),
)
@examples(50)
def test_only_its_own_fields_change(written, source, others):
    chain = compiled(written)
    event = {"@timestamp": "2026-11-28T10:00:00.000Z", "source": source, **others}
    event["@version"] = "1"
    before = copy.deepcopy(event)
    first = (source or [0])[0] if type(source) is list else source
    if written.startswith("syslog_pri") and (type(first) in (dict, list) or first is True):
        with pytest.raises(
            TypeError, match="syslog_pri: source holds a "
        ):  # as in Logstash, it costs its event
            chain.apply(event)
        return
    (after,) = chain.apply(event)
    json.dumps(after, allow_nan=False)
    own = OWN | ({"message"} if "out" not in written else set())
    assert {key: after.get(key) for key in before if key not in own} == {
        key: value for key, value in before.items() if key not in own
    }
    assert set(after) <= set(before) | own
    assert all(type(tag) is str for tag in after.get("tags", []))
    if not written.startswith("urldecode"):
        assert after["source"] == before["source"]
