"""Runaway expressions and hostile events: they cost one event, in bounded time."""

import time

import pytest

from penstock.transforms.logstash import ConfigError, compile_filters
from penstock.transforms.logstash.fields.conditions import finds
from penstock.transforms.logstash.language.ruby import _watched
from penstock.transforms.logstash.language.ruby._oniguruma import compile_ruby
from penstock.transforms.logstash.language.ruby._watched import literal_of, watched
from penstock.transforms.logstash.values._references import reference_of
from penstock.transforms.logstash.values.event import LogEvent


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


@pytest.mark.parametrize(
    "expression",
    [
        "(?:" * 33 + "a" + "+)" * 33,
        "(" * 40 + "a" + "+|b)" * 40,
        "(?:" * 16 + "a" + "{2,3})" * 16,
        "a" + "{3}" * 30,
        "a" + "++?" * 40,
    ],
)
def test_an_expression_that_would_take_the_memory_is_refused(expression):
    """The compiler of `regex` writes what must stand there twice: 33 levels of `+` took 17 GB."""
    with pytest.raises(ConfigError, match="repetitions of repetitions"):
        compile_filters(f"filter {{ if [a] =~ /{expression}/ {{ drop {{ }} }} }}")


def test_long_lists_of_small_repetitions_are_none_of_these():
    address = r"(?:[0-9A-Fa-f]{1,4}:){7}(?:[0-9]{1,3}\.){3}[0-9]+"
    compile_filters(f"filter {{ if [a] =~ /^(?:{'|'.join([address] * 100)})+$/ {{ drop {{ }} }} }}")


LITERALS = [r"a\.b", "a/b", r"a\/b", "a", "a'b", 'a"b', "é", " ", "a\nb", r"a\\b"]
LINES = [
    "", "a", "ab", "a.b", "xa.b", "a.by", "x\na.b", "a.b\nx", "x\na.b\ny", "a.b\n", "\na.b", "aXb", "a/b", "a\n.b", "a'b",
    'a"b', "é", "a\nb", "a\\b", "a\n\nb",
]  # fmt: skip


@pytest.mark.parametrize("start", ["", "^", r"\A"])
@pytest.mark.parametrize("end", ["", "$", r"\z"])
def test_a_pattern_of_literals_is_looked_for_as_a_text(start, end):
    asked = 0
    for pattern in [f"{start}{literal}{end}" for literal in LITERALS]:
        if (literal := literal_of(pattern)) is None:
            continue
        condition = finds(reference_of("a"), watched(pattern).search, literal)
        for value in LINES:
            found = compile_ruby(pattern).search(value) is not None
            assert condition.function(LogEvent({"a": value})) == found, (pattern, value)
            asked += 1
    assert bool(asked) != bool(start and end)


@pytest.mark.parametrize(
    "pattern", [r"a\d", "a.b", "a|b", "(a)", r"\n", "a{2}", "^$", "", r"\bx", r"a\_b", "[a]", "a+"]
)
def test_what_is_no_literal_is_an_expression(pattern):
    assert literal_of(pattern) is None
