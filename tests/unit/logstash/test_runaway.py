"""Runaway expressions and hostile events: they cost one event, in bounded time."""

import time

import pytest

from penstock.transforms.logstash import compile_filters
from penstock.transforms.logstash.language._oniguruma import compile_ruby
from penstock.transforms.logstash.language.ruby import _watched
from penstock.transforms.logstash.language.ruby._watched import watched


@pytest.mark.parametrize(
    "config",
    [
        "if [a] =~ /^(a|aa)+$/ { drop { } }",
        "if 'x' in [tags] or [a] !~ '(a|aa)+$' { drop { } }",
        "prune { whitelist_values => { 'a' => '^(a|aa)+$' } }",
    ],
)
def test_a_runaway_expression_raises(config, monkeypatch):
    monkeypatch.setattr(_watched, "LIMIT_S", 0.05)
    chain = compile_filters(f"filter {{ {config} }}")
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        chain.apply({"a": "a" * 60 + "b"})
    assert time.monotonic() - started < 30


def test_a_runaway_gsub_is_an_error_of_mutate(monkeypatch):
    monkeypatch.setattr(_watched, "LIMIT_S", 0.05)
    chain = compile_filters("filter { mutate { gsub => ['a', '^(a|aa)+$', ''] } }")
    (made,) = chain.apply({"a": "a" * 60 + "b"})
    assert made["tags"] == ["_mutate_error"]


def test_deep_and_huge_fields_pass():
    deep = value = {}
    for _ in range(200):
        value["d"] = value = {}
    chain = compile_filters(
        "filter { if [deep][d] and [list][99999] == 1 { mutate { copy => { 'deep' => 'again' } gsub => ['text', 'x', 'y'] "
        "replace => { 'told' => '%{[list][0]}' } split => { 'words' => ' ' } } } }"
    )
    event = {"deep": deep, "list": [1] * 100_000, "text": "x" * 1_000_000, "words": "w " * 100_000}
    (made,) = chain.apply(event)
    assert made["again"]["d"] == made["deep"]["d"]
    assert (made["text"][:2], made["told"], len(made["words"])) == ("yy", "1", 100_000)


SAME = [
    "^GET /(?:a|b)", r"\d+\.\d+", "error|warn", "[a-f0-9]+x", "[^ ]+$", r"\w+@\w", "^$", "a.c", r"\s\S", "(x)(y)?", "a+?b",
    "$",
]  # fmt: skip
TEXTS = [
    "GET /a",
    "10.25",
    "a warn",
    "é12x",
    "a b\nc d",
    "ü@b",
    "",
    "a\nc",
    "x \t",
    "xy",
    "aab",
    "a\n",
    "\u0660.\u0661",
]


@pytest.mark.parametrize("pattern", SAME)
def test_the_short_way_finds_what_the_long_one_finds(pattern):
    assert _watched._simple(pattern) is not None
    short, long = watched(pattern).search, compile_ruby(pattern).search
    for text in TEXTS:
        found, meant = short(text), long(text)
        assert (found and found.span()) == (meant and meant.span()), text


LONG_WAY = {
    r"\bword\b": "a word",
    "(?i)x": "aX",
    "[[:alpha:]]+": "éa",
    r"\h+": "ab",
    "a{2}": "aa",
    r"(?<n>x)": "x",
    r"\p{Lu}": "É",
}


@pytest.mark.parametrize("pattern", [*LONG_WAY, ".*.*.*"])
def test_what_differs_goes_the_long_way(pattern):
    assert _watched._simple(pattern) is None
    assert watched(pattern).search(LONG_WAY.get(pattern, "x")) is not None
