"""The kernels that change fields do what the functions in Python do, for every document."""

import copy
import gc
import sys
import types

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from penstock.transforms.logstash import ConfigError, compile_filters
from penstock.transforms.logstash.chain import _many
from penstock.transforms.logstash.fields import documents, operations
from penstock.transforms.logstash.values.event import Timestamp
from tests.tools.samples.examples import examples

pytestmark = pytest.mark.skipif(
    operations._kernel is None or documents._kernel is None, reason="a kernel isn't built, or switched off"
)
FIELDS = [
    *("a", "b", "[a]", "[a][b]", "[b][c]", "[a][b][c]", "[l][0]"),
    *("tags", "[tags][0]", "@timestamp", "@metadata", "[@metadata][x]"),
]
TEXTS = [
    "x",
    "%{a}",
    "%{b}-%{[a][b]}",
    "p %{tags} %{@timestamp} %{+YYYY}",
    "%{[l][0]}%{none}",
    "[%{@metadata}]",
    "%{broken",
]
fields, texts = st.sampled_from(FIELDS), st.sampled_from(TEXTS)
mutations = st.one_of(
    st.tuples(st.sampled_from(["rename", "copy", "merge"]), fields, fields),
    st.tuples(st.sampled_from(["update", "replace", "add_field", "coerce"]), fields, texts),
    st.tuples(
        st.just("convert"), fields, st.sampled_from(["integer", "float", "boolean", "string", "integer_eu"])
    ),
    st.tuples(st.just("gsub"), fields, st.sampled_from(["a", "[0-9]+", "."]), texts),
    st.tuples(st.sampled_from(["uppercase", "lowercase", "capitalize", "strip", "remove_field"]), fields),
    st.tuples(st.sampled_from(["add_tag", "remove_tag"]), texts),
    st.tuples(st.sampled_from(["split", "join"]), fields, st.just(",")),
)
NUMBERS = [
    "12",
    "007",
    "1.5",
    ".",
    "1.",
    ".5",
    "1.2.3",
    "\uff11",
    "9" * 15,
    "9" * 16,
    "0.1",
    "123456789.012345",
]
values = st.recursive(
    st.sampled_from([None, True, False, 0, 7, -3, 1.5, 2.0, "", "a", "\u00c5", "a1,b2", 10**30, *NUMBERS])
    | st.text(max_size=4)
    | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcx"), inner, max_size=3),
    max_leaves=6,
)
whole = st.dictionaries(st.sampled_from(["a", "b", "l", "tags", "@metadata", "c"]), values, max_size=6)


def written(mutation):
    """One mutation as text of a configuration."""
    option, *words = mutation
    if option in (
        "gsub",
        "uppercase",
        "lowercase",
        "capitalize",
        "strip",
        "remove_field",
        "add_tag",
        "remove_tag",
    ):
        return f"{option} => [{', '.join(repr(word) for word in words)}]"
    return f"{option} => {{ {words[0]!r} => {words[1]!r} }}"


def outcome(run, chain, document):
    try:
        return [(repr(each.document), each.changed) for each in run(chain.event_of(copy.deepcopy(document)))]
    except Exception as error:
        return type(error).__name__


@given(st.lists(mutations, min_size=1, max_size=12), whole)
@examples(400)
@example([("rename", "a", "b"), ("convert", "b", "float")], {"a": "16777216.2", "tags": "one"})
@example([("copy", "a", "c")], {"a": None})
@example([("add_tag", "x"), ("rename", "a", "[a][b]")], {"a": {"b": 1}, "tags": {"a": 1}})
def test_the_kernel_changes_what_the_steps_change(made, document):
    text = "\n".join(f"mutate {{ {written(mutation)} add_tag => ['done'] }}" for mutation in made)
    chain = compile_filters(f"filter {{ {text} }}", now="2026-01-01T00:00:00Z")
    document["@timestamp"] = "2026-01-01T00:00:00.000Z"
    assert outcome(chain.run, chain, document) == outcome(
        lambda made: _many(chain.nodes, [made]), chain, document
    )


@st.composite
def conditions(draw, depth=3):
    """The text of a condition: a question of a field, or several with words between them."""
    kind = draw(st.integers(0, 9 if depth else 5))
    field = draw(fields.map(lambda name: name if name.startswith("[") else f"[{name}]"))
    constant = draw(st.sampled_from(["'a'", "'7'", "''", "7", "-3", "1.5", "2", "[b]", "[a][b]"]))
    if kind == 0:
        return field
    if kind == 1:
        return f"{field} {draw(st.sampled_from(['==', '!=']))} {constant}"
    if kind == 2:
        return f"{field} {draw(st.sampled_from(['<', '<=', '>', '>=']))} {constant}"
    if kind == 3:
        return f"{draw(st.sampled_from(['7', field]))} {draw(st.sampled_from(['in', 'not in']))} {field}"
    if kind == 4:
        return f"{draw(st.sampled_from([chr(39) + 'a' + chr(39), field]))} in ['a', '7', 'true']"
    if kind == 5:
        return f"{field} {draw(st.sampled_from(['=~', '!~']))} {draw(st.sampled_from(['/^a/', '/1,$/', '/[0-9]/', '/x/']))}"
    left, right = draw(conditions(depth - 1)), draw(conditions(depth - 1))
    if kind == 6:
        return f"!({left})"
    return f"(({left}) {draw(st.sampled_from(['and', 'or', 'xor', 'nand']))} ({right}))"


@given(conditions(), conditions(), mutations, whole)
@examples(400)
@example("[a]", "[b] > 5", ("rename", "a", "b"), {"a": "false"})
def test_the_kernel_takes_the_branch_that_the_conditions_take(first, second, mutation, document):
    try:
        chain = compile_filters(
            f"filter {{ if {first} {{ mutate {{ {written(mutation)} }} if {second} {{ mutate {{ add_tag => ['in'] }} }} }} "
            f"else if {second} {{ mutate {{ add_tag => ['second'] }} }} else {{ mutate {{ {written(mutation)} }} }} }}",
            now="2026-01-01T00:00:00Z",
        )
    except ConfigError:
        assume(False)  # constants that have no order
    assert not isinstance(chain.step, types.FunctionType)
    document["@timestamp"] = "2026-01-01T00:00:00.000Z"
    assert outcome(chain.run, chain, document) == outcome(
        lambda made: _many(chain.nodes, [made]), chain, document
    )


@given(st.decimals(0, 10**15, places=6).map(str) | st.from_regex(r"[0-9]{0,8}\.?[0-9]{0,8}", fullmatch=True))
@examples(400)
def test_a_number_is_the_nearest_one(text):
    chain = compile_filters("filter { mutate { convert => { 'a' => 'float' } } }")
    (made,) = chain.apply({"a": text})
    try:
        assert made["a"] == float(text)
    except ValueError:
        assert made["tags"] == ["_mutate_error"]


TIMES = [
    "2026-02-28T23:59:59.999Z", "2026-02-30T00:00:00.000Z", "0000-01-01T00:00:00.000Z", "2026-01-01T24:00:00.000Z",
    "2026-01-01T00:00:60.000Z", "2026-01-01t00:00:00.000Z", "\uff12026-01-01T00:00:00.000Z", None, 5,
]  # fmt: skip


@given(whole, st.sampled_from(TIMES))
def test_an_event_begins_the_same(document, time):
    chain = compile_filters("filter { }", now="2026-01-01T00:00:00Z")
    document["@timestamp"] = time
    usual = documents._is_usual
    outcomes = []
    for each in (usual, None):
        documents._is_usual = each
        try:
            outcomes.append(repr(chain.event_of(copy.deepcopy(document)).document))
        finally:
            documents._is_usual = usual
    assert outcomes[0] == outcomes[1]


times = st.sampled_from([Timestamp("2026-01-01T00:00:00.000Z"), "2026-01-01T00:00:00.000Z", 1, None])
deep = st.recursive(
    times,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
)


@given(st.dictionaries(st.sampled_from("abc"), deep))
def test_no_time_is_left(document):
    twin = copy.deepcopy(document)
    documents._make_plain(twin)
    made = documents.plain(document)
    assert made is document
    assert made == twin
    assert "Timestamp" not in repr([type(each) for each in walk(made)])


def walk(value):
    yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from walk(inner)


def around(condition, pieces=()):
    """A branch with one arm."""
    return (((condition, pieces),),)


def nested(wrap, inner):
    """What is wrapped a thousand times, as the only one in a tuple."""
    for _ in range(1000):
        inner = wrap(inner)
    return (inner,)


@pytest.mark.parametrize(
    "blocks",
    [
        [], (5,), ((None,),), ((None, []),), ((None, (5,)),), ((None, ((1, None, None, None, None, None),)),),
        ((None, ((99, None, ("a",), ("a",), None, "x"),)),), ((None, ((3, None, None, ("a",), None, (("a",),)),)),),
        ((None, ((1, None, (), ("a",), None, None),)),), ((None, ((1, None, (b"a",), ("a",), None, None),)),),
        ((5,),), (((5,),),), ((((None, 5),),),), ((((5, ()),),),), ((((None, (5,)),),),),
        (around(()),), (around((0, len, None)),),
        (around((99, len, ("a",), None)),), (around((6, len, None, None)),), (around((2, len, None, ())),),
        (around((3, len, None, (1, 2))),), (around((8, len, ("a",), (1, "b"))),), (around((8, len, ("a",), (9, 1))),),
        (around((9, len, ("a",), 5)),), (around((10, len, ("a",), ["b"])),), (around((12, len, ("a",), ("b", 5, None))),),
        nested(lambda inner: around((0, len, None, None), (inner,)), (None, ())),
        (around(nested(lambda inner: (2, len, None, (inner,)), (0, len, None, None))[0]),),
    ],
)  # fmt: skip
def test_what_is_no_program_is_refused(blocks):
    with pytest.raises((TypeError, ValueError)):
        operations._kernel.compile(blocks, operations.LogEvent)


def test_a_document_of_a_thousand_levels_is_an_error_not_a_crash():
    document = {}
    for _ in range(100_000):
        document = {"a": document}
    with pytest.raises(RecursionError):
        documents.plain(document)
    while document:  # taken apart by hand: the destructor is recursive too
        document = document["a"]


def test_nothing_is_kept():
    """References are counted: a hundred runs leave as many as one."""
    chain = compile_filters(
        "filter { mutate { rename => { 'a' => '[x][y]' } add_field => { 'n' => '%{b}-%{none}' } copy => { 'b' => 'c' } "
        "convert => { 'f' => 'float' } add_tag => ['%{b}'] } mutate { rename => { '[x][y]' => '@timestamp' } } "
        "if [b] =~ /test/ and [b] =~ /t.st/ and [f] > 1 and [f] != 2 and 'x' in [tags] and [b] not in ['x', 'y'] "
        "{ mutate { copy => { 'b' => 'chosen' } } } }"
    )
    value = "a text that only this test has"

    def run():
        (made,) = chain.apply({"a": value, "b": value, "f": "1.5", "tags": ["x"]})
        assert made["chosen"] == value

    run()
    gc.collect()
    before = sys.getrefcount(value)
    for _ in range(100):
        run()
    assert sys.getrefcount(value) == before
