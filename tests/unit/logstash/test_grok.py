"""Grok where the shared cases do not reach: every pattern's fields, the engine's syntax, matches that never end."""

import copy
import itertools
import json
import pathlib
import random
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.transforms.logstash import ConfigError, compile_filters
from penstock.transforms.logstash._errors import FieldError
from penstock.transforms.logstash.filters.parse._grok_store import _store_slowly, store_of
from penstock.transforms.logstash.filters.parse.grok import KNOWN_LENGTH, KNOWN_TO_END
from penstock.transforms.logstash.filters.patterns import pattern_set
from penstock.transforms.logstash.filters.patterns._expand import (
    compile_grok,
    expand,
    pieces_of,
    quick_match,
    read_patterns,
    to_float,
    to_integer,
)
from penstock.transforms.logstash.filters.patterns._windows import windows
from penstock.transforms.logstash.language.ruby._oniguruma import RubyRegexError, compile_ruby, translate
from penstock.transforms.logstash.values._references import reference_or_bad
from penstock.transforms.logstash.values.event import LogEvent
from tests.tools.samples.examples import examples

CASES = pathlib.Path(__file__).parent / "cases"
CAPTURES = [
    json.loads(line)
    for line in (pathlib.Path(__file__).parent / "fixtures" / "grok_captures.jsonl").read_text().splitlines()
]


def fields_of(name, patterns):
    kinds = {}
    for capture in compile_grok(f"%{{{name}}}", patterns).captures:
        kind = (
            "string"
            if capture.convert is None
            else capture.convert.__name__.split("_")[1].replace("integer", "int")
        )
        kinds.setdefault(capture.field, []).append(kind)
    # Only the first of several groups is converted
    return {field: found[0] + (f" x{len(found)}" if len(found) > 1 else "") for field, found in kinds.items()}


@pytest.mark.parametrize("mode", ["legacy", "ecs-v1"])
def test_every_pattern_captures_what_logstashs_does(mode):
    patterns = pattern_set(ecs=mode != "legacy")
    wanted = {name: fields for set_name, name, fields in CAPTURES if set_name == mode}
    wrong = {name: found for name in wanted if (found := fields_of(name, patterns)) != wanted[name]}
    assert wrong == {}
    assert set(patterns) == set(wanted)


# An expression of Ruby, a text, and what it finds there first (None: nothing).
ENGINE = [
    (r"\w+", "été a_1", "t"),  # ASCII only
    (r"\b\w+\b", "été", None),  # though \b goes by Unicode
    (r"[[:alpha:]]+", "1été", "été"),
    (r"\h+g", "zz 12afg", "12afg"),
    (r"[\w.-]+", "été-1.x", "t"),
    (r"[^\W]+", "-ab", "ab"),
    (r"[a-c&&[^b]]+", "bca", "ca"),
    (r"[]a]+", "x]a", "]a"),
    (r"[[a]b-]+", "xb-a", "b-a"),
    (r"a.?*b", "a\nb", "a\nb"),
    (r"^b$", "a\nb\nc", "b"),
    (r"\Ab", "a\nb", None),
    (r"b\Z", "ab\n", "b"),
    (r"b\z", "ab\n", None),
    (r"(?<x>a+)\k<x>", "aaaaa", "aaaa"),
    (r"(?<x>\d)(?<x>\d)\k<x>", "123 121", "121"),
    (r"(a)(?<n>b)", "ab", "ab"),
    (r"(?i)AB|cd", "xcd", "cd"),
    (r"x(?i)a|b", "xB", "xB"),  # the rest of the group, alternatives included
    (r"(?m:a.b)", "a\nb", "a\nb"),
    (r"(?-m:a.b)", "a\nb", None),
    (r"a{2}+b", "aaaab", "aaaab"),  # not possessive in Ruby: repeated twice
    (r"a{,2}b", "aaab", "aab"),
    (r"a{x}", "a{x}", "a{x}"),
    (r"(?x) a b # c", "ab", "ab"),
    (r"(?#c)a", "a", "a"),
    (r"(?<p>\((?:[^()]|\g<p>)*\))", "x(a(b)c)", "(a(b)c)"),
    (r"\x41\u0042\x{43}\t\e", "ABC\t\x1b", "ABC\t\x1b"),
    (r"\p{Lu}\P{Lu}\p{^Lu}", "Aab", "Aab"),
    (r"(?<=ab|c)x", "cx", "x"),
    (r"(?>a+)a", "aaa", None),
    (r"a~~b--c||", "a~~b--c", "a~~b--c"),
    (r"[a~~b||]+", "x~|-", "~|"),
    (r"\.\_\-", "._-", "._-"),
]


@pytest.mark.parametrize(("expression", "text", "found"), ENGINE)
def test_rubys_syntax(expression, text, found):
    match = compile_ruby(expression, dot_all=True).search(text)
    assert (match and match[0]) == found


@pytest.mark.parametrize(
    "expression",
    [
        "(",
        ")",
        "[",
        "[]",
        "*a",
        "a)",
        r"\k<x>",
        "(?<1>a)",
        r"(?<n>a)\1",
        "(?~a)",
        "[b-a]",
        "a\\",
        "(?<>a)",
        r"\p{Nope}",
    ],
)
def test_what_is_no_expression_is_refused(expression):
    with pytest.raises(RubyRegexError):
        compile_ruby(expression)


pieces = st.sampled_from(
    [
        "ab",
        "c",
        "(?:de|f)",
        "(g)",
        "(?:hi)?",
        "(?:jk)+",
        "l{2}",
        "[mn]",
        ".*",
        "(?i:op)",
        "(?=q)q",
        " ",
        "r*s",
        "(?:t(?:uv))",
    ]
)


@given(st.lists(pieces, max_size=8), st.text("abcdefghijklmnopqrstuvOP ", max_size=30))
@examples(500)
def test_what_every_match_must_hold_is_in_every_match(parts, noise):
    translated = translate("".join(parts), dot_all=True)
    samples = {"(?:de|f)": "f", "(g)": "g", "(?:hi)?": "", "(?:jk)+": "jkjk", "l{2}": "ll", "[mn]": "n", ".*": noise,
               "(?i:op)": "oP", "(?=q)q": "q", "r*s": "s", "(?:t(?:uv))": "tuv"}  # fmt: skip
    text = "".join(samples.get(part, part) for part in parts)
    assert compile_ruby("".join(parts), dot_all=True).search(text)
    place = 0
    for literal in translated.literals:
        place = text.index(literal, place) + len(literal)
    assert holds_the_pieces("".join(parts), text)


def holds_the_pieces(expression, text):
    for row in pieces_of(expression):
        place = 0
        for piece in row:
            found = piece(text, place)
            if found is None:
                return False
            place = found.start()
    return True


PIECES = [
    (r"(?<a>\d+) (?<b>\w+), x", ((r" \w+, x",),)),  # from a separator on
    (r"\d \w+ \w+ .*", ((r" \w+ \w+ ",),)),  # as far as the one after the next, and not where anything goes
    (r"(?:(?:x \d{2}) (?<c>[ a(]+|b)),(?>,)", ((r"x \d{2} (?:[ a(]+|b),",), (" (?:[ a(]+|b),(?>,)",))),
    (r"\d \w+ \[\d+\] (?<b>\w+)", ((r" \[\d+\] \w+",), (r" \w+ \[\d+\] ",))),  # the rarer beginnings first
    (r"a, \d|b", ()),
    (r"(?<a>a), \k<a>", ()),
    (r"(?i)a, \d", ()),
    (r"a, \d(", ()),
]


@pytest.mark.parametrize(("expression", "found"), PIECES)
def test_the_pieces_between_separators(expression, found):
    assert windows(expression) == found


LINES = [
    (case["event"]["message"], expression)
    for name in ("patterns-core", "grok")
    for case in map(json.loads, (CASES / f"{name}.jsonl").read_text().splitlines())
    if isinstance(case["event"].get("message"), str)
    for expression in re.findall(r"""["'](%\{[^"']*)["']""", case["config"])
]


@pytest.mark.parametrize("ecs", [False, True])
def test_the_pieces_are_in_every_broken_line_that_still_matches(ecs):
    chance, matched, ruled_out, failed = random.Random(5), 0, 0, 0
    for line, expression in LINES:
        try:
            compiled = compile_grok(expression, pattern_set(ecs=ecs))
        except ValueError:
            continue
        for _ in range(20):
            at = chance.randrange(len(line) + 1)
            broken = line[:at] + chance.choice("x% (7") + line[at + chance.randint(0, 3) :]
            held = holds_the_pieces(compiled.text, broken)
            if compiled.search(broken):
                matched += 1
                assert held, (expression, broken)
            else:
                failed += 1
                ruled_out += not held
    assert matched > 500
    assert ruled_out > failed / 20


def test_a_failure_changes_nothing_for_the_next_line():
    chain = compile_filters("filter { grok { match => { message => '%{COMMONAPACHELOG}' } } }")
    good = '10.0.0.7 - - [22/Nov/2026:12:00:00 +0000] "GET /item HTTP/1.1" 200 17'
    bad = good.replace("200", "x") + ' "" "'
    worse = good.replace(":12:", ":99:")
    for line in (good, bad, bad, good, worse, worse, worse, good, bad, good):
        (event,) = chain.apply({"message": line})
        assert ("tags" not in event) == (line is good)
        assert ("http" in event) == (line is good)


NUMBERS = [
    ("", 0, 0.0), ("12abc", 12, 12.0), ("1_000", 1000, 1000.0), ("1__0", 1, 1.0), ("  -7", -7, -7.0), (".5", 0, 0.5),
    ("5.", 5, 5.0), ("1e3", 1, 1000.0), ("1e", 1, 1.0), ("0x1F", 0, 0.0), ("+3.9", 3, 3.9), ("x", 0, 0.0),
    ("\u0663", 0, 0.0), ("9" * 30, int("9" * 30), 1e30),
]  # fmt: skip


@pytest.mark.parametrize(("text", "integer", "number"), NUMBERS)
def test_conversions_are_rubys(text, integer, number):
    assert to_integer(text) == integer
    assert to_float(text) == number


def test_a_pattern_that_refers_to_itself_is_refused():
    config = "filter { grok { match => { 'message' => '%{A}' } pattern_definitions => { DEFINITIONS } } }"
    for definitions in ("'A' => '%{A}'", "'A' => '%{B}%{B}' 'B' => '%{A}%{A}'"):
        with pytest.raises(ConfigError, match="refers to itself"):
            compile_filters(config.replace("DEFINITIONS", definitions))


def test_lines_of_a_pattern_file():
    lines = ["# comment", "  # comment", "A  a b ", "  B\tb\r\n", "ALONE\n", "A second\n"]
    assert read_patterns(lines) == {"A": "second", "B": "b"}
    assert read_patterns(["A  a b "]) == {"A": "a b "}


def test_an_inline_definition_holds_for_its_expression():
    assert expand("%{N=[0-9]+}-%{N:x}", {}) == "(?:[0-9]+)-(?<N:x>[0-9]+)"


@pytest.mark.parametrize("scope", ["pattern", "event"])
def test_a_match_that_never_ends_is_tagged(scope):
    chain = compile_filters(
        "filter { grok { match => { 'message' => ['(?<x>(?:a|aa)+)$', '%{GREEDYDATA:y}'] } timeout_millis => 50 "
        f"timeout_scope => {scope} add_tag => 'ok' }} }}"
    )
    started = time.monotonic()
    (event,) = chain.apply({"message": "a" * 60 + "!"})
    assert event["tags"] == ["_groktimeout"]
    assert "y" not in event
    assert time.monotonic() - started < 60


VALID = [
    '10.0.0.7 - frank@example.org [22/Nov/2026:12:00:00 +0000] "GET /item HTTP/1.1" 200 17 "https://shop.example" "Agent"',
    "<13>Nov 22 12:00:00 <1.2> web-1.example.org prog/x[77]: message",
]
FRAGMENTS = [
    "a", "a.", "1.", "1.1.1.1 ", "1:", " ", '" ', '" "', '" 1 1 "', "- ", "a@a ", "[", '] "', "%", "Nov ", "12:00:00 ",
]  # fmt: skip


@pytest.mark.parametrize("expression", sorted(KNOWN_TO_END))
def test_what_runs_without_a_clock_ends_on_hostile_texts(expression):
    """A line broken anywhere, filled with what the expression could begin or go on with."""
    for ecs in (False, True):
        compiled = compile_grok(expression, pattern_set(ecs=ecs))
        for valid in VALID:
            for cut in range(0, len(valid), 20):
                for fragment in FRAGMENTS:
                    text = valid[:cut] + fragment * KNOWN_LENGTH
                    for search in (compiled.search, *itertools.chain(*pieces_of(compiled.text))):
                        search(text[:KNOWN_LENGTH], timeout=5)  # raises TimeoutError
                    quick_match(compiled.text)(text[:KNOWN_LENGTH])


def test_the_quick_match_is_the_match_at_the_start():
    chance, matched = random.Random(5), 0
    for expression, ecs, valid in itertools.product(sorted(KNOWN_TO_END), (False, True), VALID):
        compiled = compile_grok(expression, pattern_set(ecs=ecs))
        for _ in range(40):
            at = chance.randrange(len(valid) + 1)
            piece = chance.choice(["x", "%", "(", "7", "a.b@c.d ", "::1 ", "\n", "é", "", '"', '" "', '" x'])
            line = valid[:at] + piece + valid[at + chance.randint(0, 3) :]
            found, quick = compiled.search(line), quick_match(compiled.text)(line)
            if found is None or found.start():
                assert quick is None, line
            else:
                matched += 1
                assert quick is not None, line
                assert (quick.span(), quick.groups()) == (found.span(), found.groups()), line
    assert matched > 100


FIELDS = [
    "a",
    "[a][b]",
    "[a][b][c]",
    "[a][d]",
    "[@metadata][m]",
    "@metadata",
    "tags",
    "@timestamp",
    "[l][0]",
    "[l][x]",
    "a[b",
]
values = st.recursive(
    st.none() | st.just(0) | st.just("s") | st.just(""),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["b", "c", "d", "0"]), inner, max_size=2)
    ),
    max_leaves=4,
)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3), st.sampled_from(FIELDS), st.booleans(), st.sampled_from([None, to_integer])
        ),
        max_size=5,
    ),
    st.lists(st.sampled_from(["x", "7", "", None]), min_size=4, max_size=4),
    st.dictionaries(st.sampled_from(["a", "l", "@metadata", "other"]), values),
    st.booleans(),
)
@examples(300)
def test_the_paved_way_stores_what_references_do(captures, groups, document, keep_empty):
    captures = [
        (group, reference_or_bad(field), overwrite, convert) for group, field, overwrite, convert in captures
    ]
    events = [LogEvent(copy.deepcopy(document)) for _ in range(2)]
    errors = []
    for event in events:
        try:
            if event is events[0]:
                store_of(captures, keep_empty=keep_empty)(event, tuple(groups))
                continue
            for group, field, overwrite, convert in captures:
                value = groups[group]
                if value is not None and convert is not None:
                    value = convert(value)
                if keep_empty or value not in (None, ""):
                    _store_slowly(event, field, value, overwrite)
        except FieldError as error:
            errors.append(str(error))
    assert events[0].document == events[1].document
    assert len(errors) in (0, 2)
    assert len(set(errors)) < 2
    assert events[0].changed or events[0].document == document
