"""The language is read as Logstash reads it: its grammar, references to fields, templates; and it refuses in words."""

import datetime
import re
import time
import types

import pytest

from penstock.transforms.logstash import ConfigError, compile_filters
from penstock.transforms.logstash._errors import FieldError, InvalidReference
from penstock.transforms.logstash.fields.documents import event_of
from penstock.transforms.logstash.language._parser import parse
from penstock.transforms.logstash.language._reader import MAX_DEPTH
from penstock.transforms.logstash.language._tree import (
    Branch,
    Comparison,
    Constant,
    Field,
    Joined,
    Negation,
    Pattern,
    Places,
    Plugin,
    merged,
)
from penstock.transforms.logstash.values._references import parse_reference, reference_of
from penstock.transforms.logstash.values._sprintf import compile_template
from penstock.transforms.logstash.values.event import MISSING
from tests.tools.models.logstash_conformance import cases, same

NOW = "2026-01-01T00:00:00.000Z"
CLOCK = types.SimpleNamespace(zone=datetime.UTC, now=lambda: NOW)


def by_id(name):
    return pytest.mark.parametrize("case", cases(name), ids=lambda case: case["id"])


def shown_value(value):
    """A value as the cases write it; a codec is a plugin."""
    if isinstance(value, Plugin):
        return {
            "codec_plugin": value.name,
            "args": {each.name: shown_value(each.value) for each in value.settings},
        }
    if isinstance(value, list):
        return [shown_value(each) for each in value]
    if isinstance(value, dict):
        return {key: shown_value(each) for key, each in value.items()}
    return value


def shown_condition(tree, order):
    if isinstance(tree, Field):
        return {"field": tree.text}
    if isinstance(tree, Constant):
        return {"value": tree.value[0] if isinstance(tree.value, list) and order else tree.value}
    if isinstance(tree, Pattern):
        return {"regex": tree.text}
    if isinstance(tree, Negation):
        return ["not", shown_condition(tree.inner, order)]
    if isinstance(tree, Comparison):
        takes_first = tree.operator not in ("in", "not in")
        return [
            tree.operator,
            shown_condition(tree.left, takes_first),
            shown_condition(tree.right, takes_first),
        ]
    assert isinstance(tree, Joined)
    if not tree.operators:
        return shown_condition(tree.operands[0], order)
    # As the compiler orders them; what they mean is tested by the cases of conditions.
    done, waiting = [shown_condition(tree.operands[0], order)], []

    def pop():
        operator = waiting.pop()
        right, left = done.pop(), done.pop()
        done.append(["not", ["and", left, right]] if operator == "nand" else [operator, left, right])

    for operator, operand in zip(tree.operators, tree.operands[1:], strict=True):
        if waiting and waiting[-1] == "and" and operator == "or":
            pop()
        waiting.append(operator)
        done.append(shown_condition(operand, order))
    while waiting:
        pop()
    return done[0]


def shown_body(body, places):
    found = []
    for each in body:
        if isinstance(each, Branch):
            *arms, last = each.arms
            otherwise = shown_body(last[1], places) if last[0] is None else []
            for condition, inner in reversed(arms if last[0] is None else each.arms):
                shown = shown_condition(condition, order=False)
                shown = ["truthy", shown] if isinstance(shown, dict) else shown
                made = {"if": shown, "then": shown_body(inner, places), "else": otherwise}
                otherwise = [made]
            found += otherwise
        else:
            args = {name: shown_value(each.value) for name, each in merged(each.settings, places).items()}
            found.append({"plugin": each.name, "args": args})
    return found


def shown(text):
    found = {}
    for section in parse(text):
        found.setdefault(section.kind, []).extend(shown_body(section.body, Places(text)))
    return found


@by_id("grammar")
def test_grammar(case):
    text = case["config"]
    if not case["valid"]:
        with pytest.raises(ConfigError) as refused:
            shown(text)
        assert refused.value.line >= 1
        assert refused.value.column >= 1
        return
    assert same(shown(text), case["ast"])


@by_id("field_reference")
def test_references(case):
    style = case.get("escape_style", "none")
    if case["valid"]:
        assert list(parse_reference(case["ref"], style)) == case["path"]
    else:
        with pytest.raises(InvalidReference):
            parse_reference(case["ref"], style)


@by_id("field_access")
def test_access(case):
    event = event_of(case["event"], CLOCK)
    want = case["expect"]
    reference = reference_of(case["ref"])
    if case["op"] == "get":
        value = reference.get(event)
        assert (value is not MISSING) is want["includes"]
        assert same(None if value is MISSING else value, want["value"])
        assert not event.changed
        return
    if want.get("error"):
        with pytest.raises(FieldError):
            reference.set(event, case["value"])
        return
    if case["op"] == "set":
        reference.set(event, case["value"])
    else:
        value = reference.remove(event)
        if "removed" in want:
            assert same(None if value is MISSING else value, want["removed"])
    left = {key: value for key, value in event.document.items() if key not in ("@timestamp", "@version")}
    assert same(
        left, {key: value for key, value in want["event"].items() if key not in ("@timestamp", "@version")}
    )
    for name in want.get("absent", []):
        assert name not in event.document


@by_id("sprintf")
def test_templates(case):
    event = event_of(case["event"], CLOCK)
    template = compile_template(case["template"], lambda: NOW)
    if case.get("error"):
        with pytest.raises(ValueError, match=r"names no field|has no meaning"):
            template.render(event)
    else:
        assert template.render(event) == case["expect"]


REFUSALS = [
    ("filter {\n  mutate { renam => { } }\n}", 2, 12, "did you mean rename?"),
    ("filter { mutate { rename => { 'a1' => 'b1' }; } }", 1, 45, "expected white space or }"),
    ("filter { grok { } mutate { convert => { 'a' => 'int' } } }", 1, 28, "'int' is none of string, integer"),
    ("filter {\r\n  if [a] == true { drop { } }\r\n}", 2, 13, "true, false and nil do not exist"),
    ("filter { if [a] =~ /(/ { drop { } } }", 1, 20, "no regular expression"),
    ("filter { if [a] == 1 drop { } }", 1, 22, "expected and, or, xor, nand or {"),
    ("filter { drop { }", 1, 18, "at the end"),
    ('filter { mutate { add_tag => "${NOT_SET_ANYWHERE}" } }', 1, 19, "NOT_SET_ANYWHERE"),
    ("filter { uuid { } }", 1, 10, "the option target is missing"),
    ("filter { drop { percentage => 'many' } }", 1, 17, "takes a number"),
    ("filter { ruby { code => 'event.cancel' } }", 1, 10, "use python { code"),
    ("filter { frobnicate { } }", 1, 10, "no filter is called frobnicate"),
    ("filter { python { code => 'event.cancel()' } }", 1, 19, "--allow_code"),
    ("filter { mutate { gsub => ['a', '(', 'b'] } }", 1, 19, "no regular expression"),
    ("filter { if 'x' and [a] { drop { } } }", 1, 13, "decides nothing"),
]


@pytest.mark.parametrize(("text", "line", "column", "words"), REFUSALS)
def test_refusals_say_where_and_what(text, line, column, words):
    with pytest.raises(ConfigError, match=re.escape(words)) as refused:
        compile_filters(text, env={})
    assert (refused.value.line, refused.value.column) == (line, column)
    assert str(refused.value).startswith(f"line {line}, column {column}: ")


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ("{ 'a' => ", "}")])
def test_deep_texts_are_refused_not_fatal(opening, closing):
    deep = MAX_DEPTH * 100
    with pytest.raises(ConfigError, match="levels"):
        parse(f"filter {{ x1 {{ a1 => {opening * deep}1{closing * deep} }} }}")
    with pytest.raises(ConfigError, match="levels"):
        parse(f"filter {{ if {'(' * deep}[a]{')' * deep} {{ }} }}")
    with pytest.raises(ConfigError, match="levels"):
        parse("filter { " + "if [a] { " * deep)


def test_ten_thousand_lines_take_less_than_a_second():
    text = (
        'filter { if [a] == 1 {\n mutate { add_field => { "x" => "y" }\n # comment\n rename => { "a" => "b" }\n'
        ' remove_field => [ "x", "y" ]\n } } else if [c] in ["a","b"] {\n drop { }\n } else {\n'
        ' grok { match => { "message" => "%{COMBINEDAPACHELOG}" } }\n}\n}\n'
    ) * 1000
    spent = time.process_time()
    assert len(parse(text)) == 1000
    assert time.process_time() - spent < 1 * 10  # it takes 0.15 s; machines may be ten times slower


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("[a] and [b] and [c] or [d]", "use parentheses"),
        ('[a] in ["x"]', "not a list of one"),
        ("[a] and [b] or [c] and [d]", None),
        ('[a] in ["x", "y"]', None),
    ],
)
def test_what_surprises_is_warned_about(condition, words):
    warnings = compile_filters(f"filter {{ if {condition} {{ drop {{ }} }} }}").warnings
    assert [words in each for each in warnings] == ([True] if words else [])


# What java.time reads of them, by the formatter of Logstash's Timestamp
TIMES = [
    ("2015-05-28", "2015-05-28T00:00:00"), ("2015-05-28T23:02", "2015-05-28T23:02:00"), ("2015-05-28T23", None),
    ("2015-05-28T23:02:05+02", "2015-05-28T21:02:05"), ("2015-05-28T23:02:05+2", None),
    ("2015-05-28T23:02:05+020030", "2015-05-28T21:01:35"), ("2015-05-28T23:02:05+02:00:30", "2015-05-28T21:01:35"),
    ("2015-05-28t23:02:05z", "2015-05-28T23:02:05"), ("2015-05-28+02:00", "2015-05-27T22:00:00"), ("2015-05-28T", None),
    ("2015-05-28T23:02:05.Z", "2015-05-28T23:02:05"), ("2015-05-28T24:00:00Z", "2015-05-29T00:00:00"),
    ("2015-05-28T24:00:01Z", None), ("2015-05-28T23:02:60Z", None), ("2015-02-31T00:00:00.000Z", "2015-02-28T00:00:00"),
    ("2015-04-32T00:00:00Z", None), ("2015-05-28T23:02:05 UTC", None), ("2015-05-28T23:02:05utc", "2015-05-28T23:02:05"),
    ("2015-05-28T23:02:05UTC+02:00", "2015-05-28T21:02:05"), ("2015-05-28T23:02:05europe/paris", "2015-05-28T21:02:05"),
    ("2015-05-28T23:02:05EST", None), ("2015-05-28T23:02:05+18:00", "2015-05-28T05:02:05"),
    ("2015-05-28T23:02:05+18:01", None), ("2015-05-28T23:02:05+00:60", None),
    ("2015-05-28T23:02:05+02:00Z", "2015-05-28T23:02:05"),
    ("2015-05-28T23:02:05,1Z", None), ("2015-05-28T23:02:05.1234567891Z", None), ("2015-05-28T23:02:05Nowhere/Else", None),
]  # fmt: skip


@pytest.mark.parametrize(("written", "read"), TIMES)
def test_times_of_documents(written, read):
    (found,) = compile_filters("filter { }").apply({"@timestamp": written})
    assert found.get("_@timestamp") == (written if read is None else None)
    assert found.get("tags") == (["_timestampparsefailure"] if read is None else None)
    if read is not None:
        assert found["@timestamp"] == f"{read}.000Z"


# What java.time and joda-time write of 2020-12-31T23:59:59.123Z, None where they refuse the pattern
FORMATS = [
    ("{DDD}", "366"), ("{DDDD}", None), ("{ddd}", None), ("{QQQQQ}", "4"), ("{QQQQ}", "4th quarter"), ("{www}", None),
    ("{W}", "5"), ("{WW}", None), ("{cc}", None), ("{HHH}", None), ("{VV}", "Z"), ("{V}", None), ("{z}", "Z"),
    ("{zzzz}", "Z"), ("{vvvv}", "Z"),
    ("{OOOO}", "GMT"), ("{OO}", None), ("{[yyyy]-MM}", "2020-12"), ("{yyyy#}", None), ("{MMMMMM}", None), ("{YYYY}", "2021"),
    ("{'x}", None), ("+'x", "x"), ("+yyyy#[MM]", "2020#[12]"), ("+DDDD", "0366"), ("+zzzz", "Coordinated Universal Time"),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "text"), FORMATS)
def test_formats_of_times(pattern, text):
    chain = compile_filters(
        "filter { mutate { add_field => { 'f' => \"%{" + pattern.replace('"', "") + '}" } } }'
    )
    (found,) = chain.apply({"@timestamp": "2020-12-31T23:59:59.123Z"})
    assert (found.get("f"), found.get("tags")) == (text, ["_mutate_error"] if text is None else None)
