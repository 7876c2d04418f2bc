"""Owners of configuration files are told what they got wrong, or brought from older versions."""

import re

import pytest

from penstock.pipelines.logstash.options import LogstashOptions
from penstock.pipelines.logstash.reading.planner import make_plan
from penstock.pipelines.logstash.reading.sources import Source
from penstock.pipelines.logstash.report import ConfigRefused

REST = "input { beats { port => 5044 } } output { null { } }"
_TEMPLATE = "this is a template; its placeholders must be filled in first"
_RUBY = (
    "the filter ruby is not supported: use python { code => '...' } in the same place (see docs/filters.md), or mutate, "
    "grok and conditions"
)


def plan(*texts):
    sources = [Source(f"{number}.conf", text) for number, text in enumerate(texts, 1)]
    return make_plan("main", sources, LogstashOptions(path_config="-"), {}).plan


def unset(name):
    return (
        f"${{{name}}}: the environment has no variable {name}; set it, or give a default: ${{{name}:...}} (a keystore isn't "
        "read)"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "input { bets { } } filter { rubby { } grokk { } } output { grok { } stdot { codec => doots } }",
            ["9: no input is called bets; did you mean beats?",
             "29: no filter is called rubby; did you mean ruby?",
             "39: no filter is called grokk; did you mean grok?",
             "60: grok is a filter: it stands in filter { }",
             "69: no output is called stdot; did you mean stdout?"],
        ),
        ("input { stdin { codec => doots } }", ["17: stdin: no codec is called doots; did you mean dots?"]),
        ("input { stdin { codec => netflw } }", ["17: stdin: no codec is called netflw; did you mean netflow?"]),
        # Braces.
        (
            "filter {\n if [a] {\n  drop { }\n}\noutput {\n elasticsearch { hots => 'h' }\n}",
            ["5:1: output stands within filter here: a } is missing above (at 'output {')",
             "6:18: elasticsearch: no option is called hots; did you mean hosts?"],
        ),
        (
            "input { stdin { }\nfilter { drop { } }\noutput { stdot { } }",
            ["2:1: filter stands within input here: a } is missing above (at 'filter { drop { } }')",
             "3:10: no output is called stdot; did you mean stdout?"],
        ),
        ("filter { } }",
         ["12: a } too many: every section is closed above (at '}'); expected input, filter or output"]),
        # What isn't a configuration yet, or was copied from a page.
        ("input { beats { port => $PORT } }",
         ["25: no value begins here (at '$PORT } }'): a variable stands in quotes and braces, \"${NAME}\""]),
        ("output { elasticsearch { password => {{ secret }} } }",
         [f"39: no key begins here (at '{{ secret }}}} }} }}'): {_TEMPLATE}"]),
        ("{% if a %}\ninput { stdin { } }", [f"1: no section begins here (at '{{% if a %}}'): {_TEMPLATE}"]),
        ("output { elasticsearch { hosts => \u201chttp://h\u201d } }",
         ["35: no value begins here (at '\u201chttp://h\u201d } }'): these are typographic quotes; write \" or '"]),
        (
            "input { beats {\n\u00a0port => 1 } }",
            [("2:1: no option begins here (at '\\xa0port => 1 } }'): this is a no-break space, or another that isn't "
              "seen; write a usual one")],
        ),
        ("filter { if [a] =~ /b/i { drop { } } }",
         ["23: no flags stand behind a regular expression; they stand within: /(?i).../ (at 'i { drop { } } }')"]),
        # Everything that is wrong in one filter.
        (
            "filter { kv { trim => '<' trimkey => ' ' oops => 1 } grok { type => t1 pattern => p1 match => 5 } }",
            ["15: kv: the option trim is called trim_value now",
             "27: kv: the option trimkey is called trim_key now",
             "42: kv: no option is called oops",
             "61: grok: the option type is no longer available; wrap the filter in if [type] == ... instead",
             "72: grok: the option pattern is called match now",
             "86: grok: match takes a hash, or an array of names and values in turn; 1 items are odd"],
        ),
        ("filter { fingerprint { key => '${A}' source => '${B}' } }",
         [f"24: fingerprint: key: {unset('A')}", f"38: fingerprint: source: {unset('B')}"]),
        ("filter { grok { patterns_dir => './nowhere' match => { ab => '%{OWN:x}' } } }",
         ["45: grok: match: the pattern %{OWN:x} is not defined; ./nowhere holds no file"]),
        # One reason is told once.
        ("filter {\n ruby { code => a1 }\n ruby { code => b1 }\n ruby { }\n}", [f"2:2: {_RUBY} (also at line 3,4)"]),
        ("filter {\n" + " ruby { }\n" * 20 + "}", [f"2:2: {_RUBY} (also at line 3,4,5,6,7,8,9,10,11,12 and 9 more)"]),
        # Other machines, other names.
        ("input { file { path => 'C:/logs/a.log' } }",
         [("16: file: path 'C:/logs/a.log' is one of Windows: read it there with Filebeat, and use the input beats")]),
        ("input { s3 { region => eu1 bucket => '<name>' } }",
         ["28: s3: bucket '<name>': give the bucket's name: 3 to 63 of a-z, 0-9, - and ."]),
        ("input { dynamodb { } }",
         ["9: the input dynamodb is not supported: let DynamoDB write its changes to a Kinesis stream"]),
    ],
)  # fmt: skip
def test_what_is_told(text, expected):
    with pytest.raises(ConfigRefused) as refused:
        plan(text, REST)
    lines = str(refused.value).splitlines()
    told = [line for line in lines if not re.match(r"  \d+ \| |  +\^", line)]
    assert told == [f"1.conf:{each if re.match('[0-9]+:[0-9]', each) else f'1:{each}'}" for each in expected]
    assert len(lines) == 3 * len(told)  # each with its line and a mark


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        (
            ("input { beats { port => 5044 } }", f"\n{REST}"),
            "2.conf:2:9: beats: port 5044 is that of the input at 1.conf:1 too; give another",
        ),
        (
            (
                "input { kinesis { kinesis_stream_name => a1 } kinesis { kinesis_stream_name => b1 } }",
                "output { null { } }",
            ),
            (
                "1.conf:1:47: kinesis: application_name logstash names the lease table of the input at 1.conf:1 too; give "
                "another"
            ),
        ),
    ],
)
def test_inputs_that_would_take_from_each_other(texts, told):
    """In Logstash the second fails while it runs, again and again."""
    with pytest.raises(ConfigRefused) as refused:
        plan(*texts)
    assert str(refused.value).splitlines()[0] == told


def test_two_inputs_of_their_own():
    made = plan(
        "input { beats { port => 1 } beats { port => 2 } kinesis { kinesis_stream_name => a1 application_name => app1 } "
        "kinesis { kinesis_stream_name => a1 application_name => app2 } }",
        "output { null { } }",
    )
    assert len(made.inputs) == 4


def test_the_same_in_another_file():
    with pytest.raises(ConfigRefused) as refused:
        plan("filter { ruby { } }", f"{REST} filter {{ ruby {{ }} }}")
    assert str(refused.value).splitlines()[0] == f"1.conf:1:10: {_RUBY} (also at 2.conf:1)"


def test_twelve_ignored_options_are_few_lines():
    """One line per reason; each option is named, with its line."""
    text = """input {
      s3 { bucket => "logs" interval => 1 cutoff_second => 2 temporary_directory => "/t" use_aws_bundled_ca => true
           enable_metric => false use_ssl => true } }
    output {
      elasticsearch { host => "h" workers => 2 flush_size => 5 idle_flush_time => 1 pool_max => 3 pool_max_per_route => 4
                      enable_metric => true }
      stdout { workers => 1 } }"""
    notes = [note for note in plan(text).notes if "ignored" in note or "older" in note]
    assert (
        notes[0]
        == "1.conf:2: s3: interval, cutoff_second, temporary_directory are ignored: objects are listed once"
    )
    assert (
        "1.conf:2: s3: use_aws_bundled_ca is ignored: authorities come with the SDK; AWS_CA_BUNDLE names others"
        in notes
    )
    assert (
        "1.conf:3,6: s3: enable_metric; elasticsearch: enable_metric are ignored: metrics are the job's own"
        in notes
    )
    (older,) = (note for note in notes if "older" in note)
    assert older.startswith(
        "1.conf:3,5: only older versions of Logstash have these (--compat 6 takes all of their defaults)"
    )
    assert "elasticsearch: flush_size, idle_flush_time (" in older
    assert len(notes) == 6
