"""Whatever text comes as a configuration: a chain of filters that any event may pass, or a ConfigError with its place.

Coverage-guided fuzzing of `penstock.transforms.logstash.language` with atheris:

    python fuzz/logstash_language.py [-max_total_time=60] [libFuzzer options] [CORPUS]

The only exception allowed of a configuration is `ConfigError`. Invariants:
- its line and column stand in the text;
- an event that passes the chain costs a filter's error at most (it would be a dead letter), never the process.
Every crash becomes a case in tests/unit/logstash/test_language.py.
"""

import sys
from pathlib import Path

import atheris

sys.path.append(
    str(Path(__file__).parents[1])
)  # for `fuzz`; behind all else, since the root holds a folder named io

with atheris.instrument_imports(include=["penstock.transforms.logstash"]):
    from penstock.transforms.logstash import (
        ConfigError,
        _errors,  # noqa: F401
        compile_filters,
    )
    from penstock.transforms.logstash.language import _parser, _reader  # noqa: F401

from fuzz.running import run

EVENTS = (
    {"message": "a=1 b=2", "a": "x", "b": {"c": [1, "y", None]}, "n": 5, "tags": ["t"]},
    {"a": 1.5, "b": None, "tags": "t", "@metadata": {"m": True}},
)


def test_one_input(raw: bytes) -> None:
    """One input: the first byte says whether escapes are on, the rest is a configuration."""
    text = raw[1:].decode(errors="replace")
    try:
        chain = compile_filters(text, env={"V": "v"}, support_escapes=bool(raw[:1] > b"\x7f"))
    except ConfigError as error:
        lines = text.split("\n")
        assert error.line is not None
        assert error.column is not None
        assert 1 <= error.line <= len(lines)
        assert 1 <= error.column <= len(lines[error.line - 1]) + 1
        return
    for event in EVENTS:
        try:
            chain.apply({**event})
        except (MemoryError, SystemExit, KeyboardInterrupt):
            raise
        except Exception as error:  # this event's dead letter
            assert not isinstance(error, (NameError, SyntaxError, UnboundLocalError)), error


def seeds(folder: Path) -> None:
    """Configurations as people write them."""
    samples = [
        "input { beats { port => 5044 } } output { stdout { codec => rubydebug } }",
        'filter { mutate { rename => { "a" => "[b][c]" } add_tag => ["%{a}", "${V:d}"] } }',
        'filter { mutate { gsub => ["a", "x+", "<\\0>"] convert => { "n" => "integer" } } }',
        'filter { if [a] == "x" and [n] >= 5 or !([b][c]) { drop { } } else if "t" in [tags] { kv { } } else { uuid { } } }',
        "filter { if [a] =~ /x(y|z)*/ and [n] not in [1, 2] { split { field => 'message' terminator => ' ' } } }",
        "# comment\nfilter {\r\n  date { match => ['a', 'ISO8601', 'UNIX'] }\n}",
        "filter { dissect { mapping => { 'message' => '%{x}=%{+y}' } } }",
        'filter { clone { clones => ["c1"] } prune { whitelist_names => ["^a"] } truncate { length_bytes => 3 } }',
    ]
    for number, sample in enumerate(samples):
        (folder / f"seed{number}").write_bytes(b"\0" + sample.encode())


if __name__ == "__main__":
    run(test_one_input, seeds)
