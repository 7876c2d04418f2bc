"""Invariants of Logstash's language and filters, on texts and events that nobody would write."""

import copy

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.transforms.decode import JsonDecoder
from penstock.transforms.document import payload_of
from penstock.transforms.events import apply
from penstock.transforms.logstash import ConfigError, LogstashFilters, compile_filters
from penstock.transforms.logstash.chain import _many
from penstock.transforms.logstash.language._parser import parse
from penstock.transforms.logstash.values._sprintf import compile_template
from tests.tools.samples.events import event
from tests.tools.samples.examples import examples

TOKENS = [
    "filter", "input", "output", "{", "}", "if", "else", "else if", "[a]", "[a][b]", "[tags]", "==", "!=", ">", "=~",
    "in", "not in", "and", "or", "xor", "nand", "!", "(", ")", "[", "]", ",", "=>", "'x'", '"y"', '"%{a}"', "5", "010",
    "1.5", "-3", "/x+/", "!~", "mutate", "drop", "grok", "rename", "add_tag", "convert", "gsub", "ab",
    "#c\n", "\n", "\\", '"', "'", "${V:d}", "split", "clone", "clones", "date", "match", "kv", "json", "source",
]  # fmt: skip
soup = st.lists(st.sampled_from(TOKENS) | st.text(max_size=3), max_size=40).map(" ".join)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
documents = st.dictionaries(
    st.sampled_from(["a", "b", "tags", "@timestamp", "n"]) | st.text(max_size=5), json_values
)


def refusal(work):
    """The error that `work` ends with; None where it works. Any other exception is a fault."""
    try:
        work()
    except ConfigError as error:
        return error
    return None


@given(soup | st.text())
@examples(400)
def test_any_text_is_parsed_or_refused_with_a_place_in_it(text):
    error = refusal(lambda: parse(text))
    lines = text.split("\n")
    assert error is None or 1 <= error.line <= len(lines)
    assert error is None or 1 <= error.column <= len(lines[error.line - 1]) + 1


@given(soup)
@examples(300)
def test_any_filter_section_starts_or_is_refused(text):
    error = refusal(lambda: compile_filters(f"filter {{ {text} }}", env={}))
    assert error is None or error.line is not None


@given(st.text() | soup, documents)
def test_a_template_is_text_or_a_value_error(text, document):
    template = compile_template(text, lambda: "now")
    chain = compile_filters("filter { }")
    try:
        assert isinstance(template.render(chain.event_of(document)), str)
    except ValueError:
        assert "%{" in text


OPERATIONS = [
    ("rename => { 'a' => 'target' }", {"a", "target"}),
    ("rename => { 'a' => '[target][deep]' }", {"a", "target"}),
    ("update => { 'a' => '%{n}' }", {"a"}),
    ("replace => { '[a][b]' => 'x' }", {"a"}),
    ("convert => { 'a' => 'integer' }", {"a"}),
    ("convert => { 'a' => 'boolean' '[b][c]' => 'float' }", {"a", "b"}),
    ("gsub => ['a', '[0-9]+', '<\\0>']", {"a"}),
    ("uppercase => ['a'] strip => ['b']", {"a", "b"}),
    ("split => { 'a' => ' ' } join => { 'b' => ',' }", {"a", "b"}),
    ("merge => { 'a' => 'b' }", {"a"}),
    ("copy => { 'a' => '[target][copy]' }", {"target"}),
    ("add_field => { 'a' => '%{b}' }", {"a"}),
    ("remove_field => ['a', '[b][c]']", {"a", "b"}),
    ("add_tag => ['%{a}']", set()),
    ("coerce => { 'a' => 'none' }", {"a"}),
]


@pytest.mark.parametrize(("options", "touched"), OPERATIONS)
@given(document=documents)
@examples(40)
def test_mutate_leaves_every_other_field_alone(options, touched, document):
    may_change = touched | {"tags", "_tags", "@timestamp", "_@timestamp", "@version"}
    before = copy.deepcopy(document)
    (after,) = compile_filters(f"filter {{ mutate {{ {options} }} }}").apply(document)
    for key in before.keys() | after.keys() - may_change:
        if key not in may_change:
            assert after[key] == before[key]


EVERYTHING = """filter {
  if [a] == 5 or [n] in [b] { mutate { rename => { "a" => "[x][y]" } add_tag => ["one"] } }
  else if [a] =~ /a+/ and !([b]) { mutate { gsub => ["a", "a", "%{b}"] } drop { } }
  else if [a][b] > 5 { mutate { uppercase => ["a"] convert => { "n" => "integer" } } }
  else { mutate { copy => { "b" => "c" } remove_field => ["n"] } }
  if [b] not in ["x", "y"] { mutate { merge => { "c" => "b" } replace => { "t" => "%{a}-%{[x][y]}-%{+YYYY}" } } }
}"""


@given(documents)
@examples(200)
def test_one_function_does_what_the_filters_do_one_by_one(document):
    chain = compile_filters(EVERYTHING, now="2026-01-01T00:00:00Z")

    def outcome(run):
        try:
            return [(each.document, each.changed) for each in run(chain.event_of(copy.deepcopy(document)))]
        except Exception as error:
            return type(error).__name__

    assert outcome(chain.run) == outcome(lambda made: _many(chain.nodes, [made]))


@given(st.lists(documents, max_size=4), documents, st.integers(0, 4))
def test_a_hostile_event_costs_nobody_else_anything(others, hostile, place):
    transform = LogstashFilters(EVERYTHING)

    def filtered(chosen):
        events = [event(orjson.dumps(document), index) for index, document in chosen]
        events, letters = JsonDecoder(keep_documents=False).decode(events)
        assert not letters
        made, letters, _ = apply(transform._function, events, "filters")
        return {each.id: payload_of(each) for each in made} | {
            letter.event.id: letter.error for letter in letters
        }

    numbered = list(enumerate(others))
    with_it = filtered([*numbered[:place], (99, hostile), *numbered[place:]])
    assert filtered(numbered).items() <= with_it.items()
