"""The filter `kv` where the shared cases do not reach."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.transforms.logstash import compile_filters
from penstock.transforms.logstash.filters.parse._kv_scan import Splitters, _limited, compile_scan
from tests.tools.samples.examples import examples

texts = st.text(alphabet="ab=&: \"'()[]<>\\\n,", max_size=24)
splits = st.sampled_from([(" ", "="), ("&", "="), (" ,", "=:"), ("&", ":"), ("=", " ")])


def flat(pairs):
    listed = pairs.items() if type(pairs) is dict else pairs
    return [(key, next(filter(None, values), "")) for key, *values in listed]


@given(texts, splits, st.booleans(), st.booleans())
@examples(300)
def test_the_ways_to_scan_agree(text, split, brackets, lenient):
    """Cutting, the standard library's expressions, and Ruby's, all say the same."""
    field, value = split
    holds, scan = compile_scan(Splitters(field, value, None, None, brackets, lenient), 0)
    if not holds(text):
        return
    splitter = f"(?: *[{value}] *)" if lenient else f"[{value}]"
    pairs = ['"((?:\\\\.|[^"])+)?"', "'((?:\\\\.|[^'])+)?'"]
    pairs += [r"\(((?:\\.|[^\)])+)?\)", r"\[((?:\\.|[^\]])+)?\]", r"<((?:\\.|[^>])+)?>"] if brackets else []
    unquoted = rf"((?:\\.|[^{field}])+)"
    ruby = _limited(
        rf"((?:\\.|[^{value}{field}])+){splitter}(?:{'|'.join([*pairs, unquoted])})?(?:[{field}]|$)", 0
    )
    assert flat(scan(text)) == flat(ruby(text))


def test_a_hostile_pattern_ends_with_its_tag_and_keeps_the_defaults_out():
    chain = compile_filters(
        "filter { kv { field_split_pattern => '(?:x|xx)+z' timeout_millis => 50 default_keys => { 'd' => '1' } } }"
    )
    (event,) = chain.apply({"message": "a=" + "x" * 2000})
    assert event["tags"] == ["_kv_filter_timeout"]
    assert "d" not in event


@pytest.mark.parametrize("depth", [3, 5000])
def test_recursion_has_a_bottom(depth):
    chain = compile_filters("filter { kv { recursive => true target => 't' } }")
    (event,) = chain.apply({"message": "a=(b=" * depth + "1" + ")" * depth})
    assert "t" in event
