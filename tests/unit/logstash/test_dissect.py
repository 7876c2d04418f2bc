"""Dissect where the shared cases do not reach: its expression finds what a search for one delimiter after the other does."""

from hypothesis import given
from hypothesis import strategies as st

from penstock.transforms.logstash import compile_filters
from penstock.transforms.logstash.filters.parse._dissect_template import (
    _find_oddly,
    finder_of,
    parse_template,
)
from tests.tools.samples.examples import examples

delimiters = st.sampled_from([" ", "  ", "] ", "[", "aab", "a", ".", "]]", "^-", "\\", "\n"])
parts = st.lists(st.tuples(delimiters, st.sampled_from(["%{x}", "%{}", "%{+y}", "%{z->}"])), max_size=5)


@given(parts, st.booleans(), st.text(" ][ab.^-\\\n", max_size=40))
@examples(1000)
def test_values_end_at_the_first_delimiter(parts, closed, text):
    template = "%{first}" + "".join(map("".join, parts)) + ("]" if closed else "")
    fields = parse_template(template)
    places = list(range(len(fields)))
    found = finder_of(fields, places)(text)
    wanted = _find_oddly(text, fields)
    assert (None if found is None else list(found)) == wanted
    found = finder_of(fields, places[::2])(text)
    assert (None if found is None else list(found)) == (None if wanted is None else wanted[::2])


def test_a_huge_text_takes_no_longer_than_its_length():
    chain = compile_filters("filter { dissect { mapping => { message => '%{a}] %{b->} %{c}] [%{d}]' } } }")
    for text in ("]" * 300_000, "] " * 300_000, "a" * 300_000 + "] " + " " * 300_000, "x] b c]" * 50_000):
        (event,) = chain.apply({"message": text})
        assert event["tags"] == ["_dissectfailure"]
        assert "a" not in event


def test_numbers_no_float_holds_are_not_made():
    chain = compile_filters(
        "filter { dissect { mapping => { message => '%{a} %{b}' } convert_datatype => { 'a' => float 'b' => float } } }"
    )
    (event,) = chain.apply({"message": "1e9999 2.5"})
    assert event["a"] == "1e9999"
    assert event["b"] == 2.5
    assert event["tags"] == ["_dataconversionuncoercible_a_float"]
