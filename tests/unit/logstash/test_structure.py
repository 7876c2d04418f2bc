"""Mutate and the filters that change an event's shape, where the cases do not reach: facts of Logstash, one per row."""

import re

import pytest

from penstock.transforms.logstash import ConfigError, compile_filters

TIME = "2026-01-02T03:04:05.000Z"


def run(config, *events):
    """The documents that come out, without what every event has."""
    chain = compile_filters(f"filter {{ {config} }}", env={})
    made = [found for event in events for found in chain.apply({"@timestamp": TIME, **event})]
    return [
        {name: value for name, value in each.items() if name not in ("@timestamp", "@version")}
        for each in made
    ]


CONVERSIONS = [
    ("integer", " 0x7b ", 123), ("integer", "1e3", 1000), ("integer", "-3.9", -3),
    ("integer", "9007199254740993", 9007199254740993),
    ("integer", "12345678901234567890123", 12345678901234567890123), ("integer", True, 1), ("integer", 1e20, 10**20),
    ("float", "0x1.8p1", 3.0), ("float", "1,234.5", 1234.5), ("float", 2, 2.0),
    ("float", False, 0.0), ("float", "1E2", 100.0),
    ("integer_eu", "1.234,9", 1234), ("float_eu", "1.234,5", 1234.5), ("float_eu", 1.5, 1.5),
    ("string", 1e-05, "1.0e-05"), ("string", 123.0, "123.0"), ("string", True, "true"),
    ("string", [1, None, "x"], ["1", None, "x"]),
    ("boolean", "Yes", True), ("boolean", 0, False), ("boolean", 1.0, True), ("boolean", 2, 2), ("boolean", "N", False),
    ("integer", None, None), ("integer", {"a": "1"}, {"a": "1"}), ("integer", ["1", None, "2.5"], [1, None, 2]),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "value", "made"), CONVERSIONS)
def test_convert(kind, value, made):
    for config in (
        f"mutate {{ convert => {{ 'a' => '{kind}' }} }}",
        f"mutate {{ convert => {{ '[n][a]' => '{kind}' }} }}",
    ):
        event = {"n": {"a": value}} if "[n]" in config else {"a": value}
        (found,) = run(config, event)
        found = found["n"]["a"] if "[n]" in config else found["a"]
        assert (type(found), found) == (type(made), made)


@pytest.mark.parametrize("value", ["", "-", "12ms", "1e", "0x", "1__0", "\u0661", ["1", ""], [{}]])
@pytest.mark.parametrize("kind", ["integer", "float"])
def test_what_is_no_number_fails(kind, value):
    (found,) = run(f"mutate {{ convert => {{ 'a' => '{kind}' }} add_tag => 'after' }}", {"a": value})
    assert found == {"a": value, "tags": ["_mutate_error"]}


ROWS = [
    ("mutate { gsub => ['a', '(o)(x)?', '<\\1\\2\\0\\\\>'] }", {"a": "foo"}, {"a": "f<oo\\><oo\\>"}),
    ("mutate { gsub => ['a', '[0-9]', '$1'] }", {"a": ["1a", 5, "b2"]}, {"a": ["$1a", 5, "b$1"]}),
    ("mutate { gsub => ['a', '%{p}', '%{q}'] }", {"a": "xyx", "p": "^x", "q": "z"}, {"a": "zyx", "p": "^x", "q": "z"}),
    ("mutate { gsub => ['a', '\\\\d', 'n'] }", {"a": "a\\d1"}, {"a": "an1"}),
    ("mutate { gsub => ['a', '^', '>'] }", {"a": "x\ny\n"}, {"a": ">x\n>y\n"}),
    ("mutate { gsub => ['a', '^ *', '>'] }", {"a": " x\n  "}, {"a": ">x\n>"}),
    ("mutate { gsub => ['a', 'a*?', '-'] }", {"a": "a9"}, {"a": "-a-9-"}),
    ("mutate { gsub => ['a', '(?<x>o+)', '<\\1\\0>'] }", {"a": "foo"}, {"a": "f<oo>"}),
    ("if [a] =~ /^$/ { drop { } }", {"a": "x\n"}, {"a": "x\n"}),
    ("grok { match => { 'a' => '(?<b>.+)^(?<c>.*)' } }", {"a": "x\n"}, {"a": "x\n", "tags": ["_grokparsefailure"]}),
    ("mutate { uppercase => ['a'] capitalize => ['b'] lowercase => ['c'] }", {"a": ["ß", 1], "b": "éCLAIR x", "c": "ÀB"},
     {"a": ["SS", 1], "b": "Éclair x", "c": "àb"}),
    ("mutate { uppercase => ['a'] strip => ['b'] split => { 'c' => ',' } join => { 'd' => ',' } }", {}, {}),
    ("mutate { join => { 'a' => '-' } }", {"a": [1, None, ["x", 2.0]]}, {"a": "1--x-2.0"}),
    ("mutate { merge => { 'a' => ['b', 'c'] } }", {"b": 1, "c": [2]}, {"a": [2], "b": 1, "c": [2]}),
    ("mutate { merge => { 'a' => ['b', 'c'] } }", {"a": "x", "b": 1, "c": 2}, {"a": ["x", 2], "b": 1, "c": 2}),
    ("mutate { merge => { 'a' => ['b', 'c'] } }", {"a": [0], "b": 1, "c": 2}, {"a": [0, 1, 2], "b": 1, "c": 2}),
    ("mutate { merge => { 'a' => ['b', 'c'] } }", {"a": {"x": 1}, "b": {"y": 1}, "c": {"z": 1}},
     {"a": {"x": 1, "y": 1, "z": 1}, "b": {"y": 1}, "c": {"z": 1}}),
    ("mutate { rename => { '%{k}' => 'a[b' } }", {"k": "x", "x": 1}, {"k": "x", "tags": ["_mutate_error"]}),
    ("mutate { rename => { '%{k}' => 'a[b' } }", {"k": "x"}, {"k": "x"}),
    ("mutate { lowercase => ['a'] capitalize => ['b'] }", {"a": "\u03a3X\u03a3", "b": "\u03a3X\u03a3"},
     {"a": "\u03c3x\u03c3", "b": "\u03a3x\u03c3"}),
    ("mutate { join => { 'a' => 1 } }", {"a": ["x"]}, {"a": ["x"], "tags": ["_mutate_error"]}),
    ("mutate { remove_tag => ['a'] }", {"tags": "b"}, {"tags": ["b"]}),
    ("mutate { merge => { 'a' => 'b' } }", {"a": {"x": 1, "y": 1}, "b": {"x": 2}}, {"a": {"x": 2, "y": 1}, "b": {"x": 2}}),
    ("mutate { merge => { 'a' => 'b' } }", {"a": {"x": 1}, "b": 5}, {"a": {"x": 1}, "b": 5}),
    ("mutate { rename => { 'x_%{k}' => '[o][%{k}]' } }", {"k": "1", "x_1": 5}, {"k": "1", "o": {"1": 5}}),
    ("mutate { rename => { '@timestamp' => 't' } replace => { 'd' => '%{+YYYY}|%{t}' } }", {}, {"t": TIME, "d": f"|{TIME}"}),
    ("mutate { replace => { '@timestamp' => 'now' } }", {}, {"tags": ["_mutate_error"]}),
    ("mutate { update => { 'a' => 'x' 'b' => 'y' } }", {"a": None}, {"a": "x"}),
    ("mutate { copy => { 'a' => 'b' } rename => { 'b' => 'c' } }", {"a": [1], "b": 2}, {"a": [1], "b": [1], "c": 2}),
    ("mutate { add_field => { 'a' => ['%{b}', 'y'] 'c' => 'z' } }", {"b": 5, "c": {"k": 1}},
     {"a": ["5", "y"], "b": 5, "c": [["k", 1], "z"]}),
    ("mutate { remove_field => ['[a][0]', '[b][c]', '[d][e][f]'] }", {"a": [1, 2], "b": {"c": 1}, "d": 5},
     {"a": [2], "b": {}, "d": 5}),
    ("mutate { add_tag => ['b'] remove_tag => ['a'] }", {"tags": "a"}, {"tags": ["b"]}),
    ("truncate { length_bytes => 3 fields => ['a', '[h]'] }", {"a": ["éé", "ab"], "h": {"k": ["abcd"], "n": 5}, "z": "long"},
     {"a": ["é", "ab"], "h": {"k": ["abc"], "n": 5}, "z": "long"}),
    ("truncate { length_bytes => 2 add_tag => 'cut' }", {"a": "ab", "b": "日"}, {"a": "ab", "b": "", "tags": ["cut"]}),
    ("truncate { length_bytes => 9 add_tag => 'cut' }", {"a": "ab"}, {"a": "ab"}),
    ("de_dot { nested => true }", {"a.b": 1, "c": 2}, {"a": {"b": 1}, "c": 2}),
    ("de_dot { nested => true }", {"a.b": 1, "a": "text"}, {"a.b": 1, "a": "text", "tags": ["_de_dot_error"]}),
    ("de_dot { recursive => true separator => '-' }", {"a.b": {"c.d": 1}}, {"a-b": {"c-d": 1}}),
    ("bytes { target => 'n' }", {"message": "3,124.5 MB"}, {"message": "3,124.5 MB", "n": 3276275712}),
    ("bytes { target => 'n' conversion_method => metric }", {"message": "1.5kb"}, {"message": "1.5kb", "n": 1500}),
    *(
        ("bytes { target => 'n' }", {"message": text}, {"message": text, "tags": ["_bytesparsefailure"]})
        for text in ("1 KiB", "", "mb", "1.000.000 mb", "-3 kb", "1 ZB", "1e3", 5, None, False, ["1"])
    ),
    *(
        ("bytes { target => 'n' }", {"message": text}, {"message": text, "n": size})
        for text, size in (
            ("0", 0), ("12.3", 12), ("12.5", 13), ("32.8B", 33), ("3,124 mb", 3124 * 2**20), ("3. mb", 3 * 2**20),
            (".5k", 512), ("1_000 b", 1000), ("32\teb", 32 * 2**60), (" 7 \n", 7), ("size:\n5 k", 5120), (".", 0),
        )
    ),
    ("bytes { target => 'n' decimal_separator => ',' }", {"message": "3,9 mb"}, {"message": "3,9 mb", "n": 4089446}),
    ("bytes { target => 'n' decimal_separator => ',' }", {"message": "1.9 kb"}, {"message": "1.9 kb", "n": 19 * 1024}),
    ("bytes { target => 'n' decimal_separator => ',' }", {"message": "1,000,000"},
     {"message": "1,000,000", "tags": ["_bytesparsefailure"]}),
    ("bytes { target => 'n' }", {}, {"tags": ["_bytesparsefailure"]}),
    ("prune { blacklist_values => { 'a' => '^x' 'b' => '^x' } }", {"a": "xa", "b": ["x", "y"]}, {"b": ["y"]}),
    ("prune { whitelist_names => ['^%{keep}$'] interpolate => true }", {"keep": "a", "a": 1, "b": 2}, {"a": 1}),
    ("prune { }", {"%{x}": 1, "a": 2}, {"a": 2}),
    ("prune { blacklist_names => ['^k$'] interpolate => true blacklist_values => { '%{k}' => '^%{n}' } }",
     {"k": "a", "n": "1", "a": "12"}, {"n": "1"}),
    ("prune { whitelist_values => { 'a' => '^x' } blacklist_values => { 'a' => 'y' } }", {"a": ["xy", "z"]}, {"a": []}),
    ("mutate { convert => { 'a' => 'string' } }", {"a": {"b": 1}}, {"a": {"b": 1}}),
    ("mutate { join => { 'a' => ' ' } }", {"a": [1e19, 9.999999e19, 1e18, ["\u0001"], {"\u200b\u0001": 1}]},
     {"a": '1.0e+19 9.999999e+19 1000000000000000000.0 \u0001 {"\u200b\\u0001" => 1}'}),
    ("csv { skip_empty_rows => true add_tag => 'x1' }", {"message": "\n"}, {"message": "\n", "tags": ["x1"]}),
    ("csv { skip_empty_rows => true add_tag => 'x1' }", {"message": ""}, {"message": "", "tags": ["_csvskippedemptyfield"]}),
    ("json { source => 'm' add_tag => 'x1' }", {"m": '{"@timestamp": ""}'},
     {"m": '{"@timestamp": ""}', "_@timestamp": "", "tags": ["_timestampparsefailure", "x1"]}),
    ("csv { columns => ['a', 'b'] convert => { 'a' => 'date' 'b' => 'date_time' } }",
     {"message": "2020-02-30,2021-02-29 01:02:03"},
     {"message": "2020-02-30,2021-02-29 01:02:03", "a": "2020-02-30", "b": "2021-02-29 01:02:03"}),
    ("csv { columns => ['a', ''] }", {"message": "1,2"}, {"message": "1,2", "a": "1", "tags": ["_csvparsefailure"]}),
    ("uuid { target => 'u' }", {"u": "kept"}, {"u": "kept"}),
    ("drop { percentage => 0 }", {"a": 1}, {"a": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("config", "event", "made"), ROWS)
def test_one_event(config, event, made):
    assert run(config, event) == [made]


SEVERAL = [
    ("split { }", {"message": "a\n\nb\n"}, [{"message": "a"}, {"message": "b"}]),
    ("split { terminator => ' ' }", {"message": " a  b "}, [{"message": "a"}, {"message": "b"}]),
    ("split { add_tag => 'x1' }", {"message": "one"}, [{"message": "one"}]),
    ("split { field => 'l' target => 't' add_tag => '%{t}' }", {"l": [1, None, ""]},
     [{"l": [1, None, ""], "t": 1, "tags": ["1"]}]),
    ("clone { clones => ['c1', 'c2'] add_field => { 'a' => '2' } }", {"a": "1"},
     [{"a": "1"}, {"a": ["1", "2"], "tags": ["c1"]}, {"a": ["1", "2"], "tags": ["c2"]}]),
    ("clone { clones => ['c1'] ecs_compatibility => disabled }", {}, [{}, {"type": "c1"}]),
    ("clone { clones => ['c1'] } if 'c1' in [tags] { mutate { add_tag => 'first' } }", {}, [{"tags": ["c1", "first"]}, {}]),
    ("clone { clones => ['c1'] } if [tags] { drop { } } else { mutate { add_tag => 'left' } }", {}, [{"tags": ["left"]}]),
]  # fmt: skip


@pytest.mark.parametrize(("config", "event", "made"), SEVERAL)
def test_several_events(config, event, made):
    assert run(config, event) == made


def test_columns_without_a_name_in_the_header():
    header, line = {"message": "a,,c"}, {"message": "1,2,3,4"}
    assert run("csv { autodetect_column_names => true }", header, line) == [
        line | {"a": "1", "column2": "2", "c": "3", "column4": "4"}
    ]
    assert run(
        "csv { autodetect_column_names => true autogenerate_column_names => false }", header, line
    ) == [line | {"a": "1", "c": "3"}]


def test_throttle_forgets_slots_by_their_age():
    seconds = [0, 60, 1, 2]
    events = [{"@timestamp": f"2026-01-01T00:{each // 60:02}:{each % 60:02}.000Z"} for each in seconds]
    found = run(
        "throttle { key => 'k1' after_count => 1 period => 5 max_age => 10 add_tag => 'many' }", *events
    )
    assert found == [{}] * 4
    always = run("throttle { key => 'k1' after_count => -2 add_tag => 'many' }", {})
    assert always == [{"tags": ["many"]}]


def test_throttle_counts_by_key_and_slot():
    times = ["00:00:10", "00:00:20", "00:01:09", "00:01:10", "00:01:11", "00:00:30"]
    events = [{"@timestamp": f"2026-01-01T{time}.000Z", "k": "a"} for time in times]
    found = run(
        "throttle { key => '%{k}' after_count => 1 period => '60s' add_tag => 'many' }", *events, {"k": "b"}
    )
    assert ["many" in each.get("tags", []) for each in found] == [False, True, True, False, True, True, False]
    bounded = run(
        "throttle { key => '%{k}' after_count => 1 max_counters => 2 add_tag => 'many' }",
        *[{"k": k} for k in "aabcda"],
    )
    assert ["many" in each.get("tags", []) for each in bounded] == [False, True, False, False, False, False]


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("mutate { gsub => ['a', 'b'] }", "one of them is missing"),
        ("mutate { gsub => ['a', '[', 'c'] }", "no regular expression"),
        ("mutate { convert => { 'a' => ['integer', 'float'] } }", "none of string, integer"),
        ("mutate { rename => { 'a' => 'b' } rename => 'c' }", "was a hash before"),
        ("mutate { rename => { 1 => 'b' } }", "must stand in quotes"),
        ("de_dot { separator => '.' }", "must hold no dot"),
        ("drop { percentage => '05' }", "takes a number"),
        ("clone { }", "the option clones is missing"),
        ("uuid { target => 'a' overwrite => yes }", "takes true or false"),
        ("bytes { conversion_method => 'octal' }", "takes one of binary, metric"),
        ("mutate { tags => 'x' }", "no longer available"),
        ("prune { whitelist_names => ['('] }", "no regular expression"),
        ("uuid { target => ['a', 'b'] }", "takes one text"),
    ],
)
def test_refusals(config, words):
    with pytest.raises(ConfigError, match=re.escape(words)):
        run(config)
