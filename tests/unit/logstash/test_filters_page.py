"""docs/filters.md says what the code does: its snippets run, its lists are those of the code."""

import re
from pathlib import Path

import pytest
import yaml

from penstock.pipelines.beam_yaml import TRANSFORMS
from penstock.transforms.logstash import ConfigError, compile_filters
from penstock.transforms.logstash.filters import FILTERS

PAGE = (Path(__file__).parents[3] / "docs" / "filters.md").read_text()


def snippets(kind):
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("snippet", snippets("python"))
def test_python(snippet):
    exec(compile(snippet, "docs/filters.md", "exec"), {})


def test_yaml():
    (snippet,) = snippets("yaml")
    steps = yaml.safe_load(snippet)["pipeline"]["transforms"]
    made = [TRANSFORMS[step["type"]](**step["config"]) for step in steps if ".logstash." in step["type"]]
    assert len(made) == 2


def test_code_in_a_configuration():
    (snippet,) = snippets("ruby")
    chain = compile_filters(snippet, allow_code=True)
    (made,) = chain.apply({"client": {"ip": "10.0.0.1"}, "address": "x"})
    assert (made["client"]["private"], made["tags"], "address" in made) == (True, ["checked"], False)
    assert chain.apply({}) == []


def test_what_is_here_is_listed():
    listed = PAGE[PAGE.index("## What is here") : PAGE.index("every option of each")]
    assert set(re.findall(r"`(\w+)`", listed)) == set(FILTERS)


def test_what_is_refused_says_what_to_do():
    rows = PAGE[
        PAGE.index("| filter | instead |") : PAGE.index("These and other missing filters")
    ].splitlines()[2:]
    names = {name for row in rows if row for name in re.findall(r"`([\w*]+)`", row.split("|")[1])}
    for name in (each.replace("*", "static") for each in names):
        with pytest.raises(ConfigError, match=f"the filter {name} is not supported: .{{15}}"):
            compile_filters(f"filter {{ {name} {{ }} }}")
