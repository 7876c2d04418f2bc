"""A logstash.conf becomes a plan: the options of our connectors, the conditions, the notes, the problems."""

import re

import pytest

from penstock.io.aws.session import AwsOptions
from penstock.io.errors import OptionError
from penstock.pipelines.logstash.options import LogstashOptions
from penstock.pipelines.logstash.plan import TextCodec
from penstock.pipelines.logstash.reading.planner import make_plan
from penstock.pipelines.logstash.reading.sources import Source
from penstock.pipelines.logstash.report import ConfigRefused
from penstock.transforms.logstash.beam import filters_name

BEATS = "input { beats { port => 5044 } }"
STREAM = 'input { kinesis { kinesis_stream_name => "s" } }'
NOWHERE = "output { null { } }"


def planned(*texts, env=None, **options):
    given = LogstashOptions(path_config="-", **options)
    sources = [Source(f"{number}.conf", text) for number, text in enumerate(texts, 1)]
    return make_plan("main", sources, given, env or {})


def plan(*texts, **more):
    return planned(*texts, **more).plan


def problems(*texts, **more):
    """The first lines of what is wrong, without the places' files."""
    with pytest.raises(ConfigRefused) as refused:
        plan(*texts, **more)
    return [line for line in str(refused.value).splitlines() if not re.match(r"  \d+ \| |  +\^", line)]


def options_of(text, **more):
    """The connector's options of the plugin that stands alone in its section."""
    made = plan(
        text if "input {" in text else f"{BEATS} {text}", *([] if "output {" in text else [NOWHERE]), **more
    )
    return (made.inputs if "input {" in text else made.outputs)[0].options


DOMAIN = "search-a-abcdefghijklmnopqrstuvwxyz.eu-west-1.es.amazonaws.com"


def _aws(region, key, secret):
    return AwsOptions(region, access_key=key, secret_key=secret)


@pytest.mark.parametrize(
    ("text", "more", "expected"),
    [
        (BEATS, {}, {"host": "0.0.0.0", "port": 5044, "enrich": [], "ssl_enabled": False}),
        ('input { beats { port => "${P:6000}" host => "127.0.0.1" } }', {}, {"port": 6000, "host": "127.0.0.1"}),
        (BEATS, {"set": ["input.beats.port=0"]}, {"port": 0}),
        ("input { beats { port => 1 id => lumber } }", {"set": ["input.lumber.max_connections=7"]}, {"max_connections": 7}),
        ("input { elastic_agent { port => 5055 } }", {}, {"port": 5055}),
        (STREAM, {}, {"application_name": "logstash", "checkpoint_interval_seconds": 60, "metrics": "nil"}),
        (
            ('input { kinesis { kinesis_stream_name => s1 additional_settings => { max_records => 7 "failoverTimeMillis"'
            ' => 9000 "initial_lease_table_read_capacity" => 5 } } }'),
            {},
            {"additional_settings": ["maxRecords=7", "failoverTimeMillis=9000"]},
        ),
        ('output { kinesis { stream_name => "s" } }', {}, {"partition_key_prefix": "", "metrics_level": "detailed"}),
        (
            'output { kinesis { stream_name => "s" event_partition_keys => ["a"] } }',
            {},
            {"partition_key_prefix": "-", "event_partition_keys": ["a"]},
        ),
        # Where documents go: the defaults of Logstash 8, of 7, and what forbids a data stream.
        ("output { elasticsearch { } }", {}, {"data_stream": "true", "target": "logs-generic-default"}),
        ("output { elasticsearch { } }", {"compat": "6"}, {"target": "logstash-%{+yyyy.MM.dd}"}),
        ("output { elasticsearch { } }", {"compat": "7"}, {"target": "logstash-%{+yyyy.MM.dd}"}),
        (
            "output { elasticsearch { } }",
            {"pipeline_ecs_compatibility": "disabled"},
            {"target": "logstash-%{+yyyy.MM.dd}"},
        ),
        ("output { elasticsearch { data_stream => false } }", {}, {"target": "ecs-logstash-%{+yyyy.MM.dd}"}),
        ('output { elasticsearch { index => "i" } }', {}, {"target": "i", "action": "create", "document_id": "auto"}),
        ("output { elasticsearch { manage_template => false } }", {}, {"target": "logs-generic-default"}),
        ("output { elasticsearch { doc_as_upsert => true action => update document_id => '%{id}' } }", {},
         {"target": "ecs-logstash-%{+yyyy.MM.dd}", "action": "update", "document_id": "%{id}"}),
        ("output { elasticsearch { data_stream_dataset => 'nginx' } }", {}, {"target": "logs-nginx-default"}),
        ("output { opensearch { } }", {}, {"target": "ecs-logstash-%{+yyyy.MM.dd}"}),
        # Amazon's services: requests are signed.
        (
            f"output {{ opensearch {{ hosts => 'https://{DOMAIN}' auth_type => {{ type => 'aws_iam' }} }} }}",
            {},
            {"signs_for": "es", "urls": [f"https://{DOMAIN}:443"]},
        ),
        (
            ("output { opensearch { hosts => 'https://logs.test' auth_type => { type => 'aws_iam' service_name => 'aoss'"
             " aws_access_key_id => 'AK' aws_secret_access_key => 'SK' region => 'eu-north-1' } } }"),
            {},
            {"signs_for": "aoss", "serverless": True, "signing": _aws("eu-north-1", "AK", "SK")},
        ),
        (
            "output { opensearch { auth_type => { type => 'basic' user => 'u' password => 'p' } } }",
            {},
            {"user": "u", "password": "p", "signs_for": ""},
        ),
        (
            f"output {{ amazon_es {{ hosts => ['{DOMAIN}'] aws_access_key_id => 'AK' aws_secret_access_key => 'SK' }} }}",
            {},
            {"urls": [f"https://{DOMAIN}:443"], "signs_for": "es", "signing": _aws("eu-west-1", "AK", "SK")},
        ),
        (
            "output { amazon_es { hosts => 'h' protocol => http port => 81 region => 'eu-north-1' } }",
            {"set": ["output.amazon_es.elasticsearch_role_arn=arn:aws:iam::1:role/r"]},
            {"urls": ["http://h:81"], "signing": AwsOptions("eu-north-1", role_arn="arn:aws:iam::1:role/r")},
        ),
        # Old names, users in URLs, several hosts in one text.
        (
            'output { elasticsearch { hosts => ["https://me:p%40ss@es:9200"] ssl_certificate_verification => false } }',
            {},
            {"hosts": ["https://es:9200"], "user": "me", "password": "p@ss", "ssl_verification_mode": "none"},
        ),
        ('output { elasticsearch { hosts => "a:1 b:2" } }', {}, {"hosts": ["a:1", "b:2"]}),
        ('output { elasticsearch { hosts => ["http://es:9200/sub"] } }', {}, {"hosts": ["http://es:9200"], "path": "/sub"}),
        ('output { elasticsearch { host => "es" port => 9201 } }', {"compat": "6"}, {"hosts": ["es:9201"]}),
        ('output { elasticsearch { cloud_auth => "u:p" cloud_id => "x:y" } }', {}, {"user": "u", "password": "p"}),
        ("output { elasticsearch { compression_level => 0 } }", {}, {"http_compression": False}),
        ('input { s3 { bucket => "logs" prefix => "a[b]/" watch_for_new_files => false } }', {},
         {"input": ["s3://logs/a[[]b]/*"], "manifest": None}),
        ('input { s3 { bucket => "logs" sincedb_path => "/var/x" } }', {}, {"manifest": "file:///var/x.penstock"}),
        ('input { file { path => "/var/log/*.log" sincedb_path => "/dev/null" mode => read } }', {},
         {"path": ("/var/log/*.log",), "start_position": "beginning", "positions": None}),
    ],
)  # fmt: skip
def test_options_become_ours(text, more, expected):
    made = options_of(text, **more)
    assert {name: getattr(made, name) for name in expected} == expected


def test_what_the_output_kinesis_bounds_holds_for_the_input_too():
    made = plan(
        BEATS,
        'output { kinesis { stream_name => "s" max_pending_records => 10000 record_max_buffered_time => 50 } }',
    )
    assert (made.inputs[0].options.max_pending_records, made.inputs[0].options.record_max_buffered_time) == (
        10000,
        50,
    )


def test_authorities_alone_mean_that_clients_show_a_certificate(tmp_path):
    for name in ("ca.pem", "c.pem", "k.pem"):
        (tmp_path / name).touch()
    files = f"ssl_certificate => '{tmp_path}/c.pem' ssl_key => '{tmp_path}/k.pem'"
    authorities = f"ssl_certificate_authorities => ['{tmp_path}/ca.pem']"
    new = options_of(f"input {{ beats {{ port => 1 ssl_enabled => true {files} {authorities} }} }}")
    old = options_of(
        f"input {{ beats {{ port => 1 ssl => true {files} {authorities} ssl_verify_mode => force_peer }} }}"
    )
    assert (new.ssl_client_authentication, old.ssl_client_authentication) == ("required", "required")


@pytest.mark.parametrize(
    ("plugin", "codec", "expected"),
    [
        ("kinesis { kinesis_stream_name => s_1 %s }", "", ("plain", None)),
        ("kinesis { kinesis_stream_name => s_1 %s }", "codec => json { }", ("json", None)),
        ("kinesis { kinesis_stream_name => s_1 %s }", "codec => cloudtrail", ("json", "Records")),
        ("stdin { %s }", "", ("lines", None)),
        ("s3 { bucket => logs %s }", "", ("lines", None)),
        ("s3 { bucket => logs %s }", "codec => json_lines", ("json", None)),
    ],
)  # fmt: skip
def test_codecs_become_decoders(plugin, codec, expected):
    made = plan(f"input {{ {plugin % codec} }}", NOWHERE).inputs[0].decode
    assert (made.codec, made.expand) == expected


def test_a_multiline_codec_takes_groks_patterns():
    text = 'codec => multiline { pattern => "^%{TIMESTAMP_ISO8601} " negate => true what => previous }'
    made = plan(f"input {{ stdin {{ {text} }} }}", NOWHERE).inputs[0].decode
    assert re.search(made.codec_multiline, "2026-11-28T23:00:00 x")
    assert not re.search(made.codec_multiline, "  at x")
    assert (made.codec_negate, made.codec_what) == (True, "previous")


@pytest.mark.parametrize(
    ("codec", "written"),
    [
        ("line { format => '%{a}' delimiter => '' }", TextCodec("line", "%{a}", "")),
        ("json_lines { delimiter => '' }", TextCodec("json_lines", delimiter="")),
        ("json_lines { delimiter => ';' }", TextCodec("json_lines", delimiter=";")),
        ("line { }", TextCodec("line")),
        ("dots", TextCodec("dots")),
    ],
)
def test_codecs_become_texts(codec, written):
    assert options_of(f"output {{ stdout {{ codec => {codec} }} }}").codec == written


def test_conditions_around_an_output():
    made = plan(
        BEATS,
        'output { if [a] == 1 { null { id => "one" } } else if "x" in [tags] { if ![b] { null { id => "two" } } }'
        ' else { null { id => "three" } } null { } }',
    )
    assert [(each.name, each.condition_text) for each in made.outputs] == [
        ("one", "[a] == 1"),
        ("two", '!([a] == 1) and ("x" in [tags]) and ![b]'),
        ("three", '!([a] == 1) and !("x" in [tags])'),
        ("null:1", ""),
    ]


def test_files_are_one_pipeline_and_keep_no_secret_of_other_sections():
    made = plan(
        f"{BEATS} filter {{ mutate {{ add_tag => [one] }} }}",
        'output { elasticsearch { user => u1 password => "geheim" } } filter { drop { } }',
        "# nothing but filters\nfilter { }",
    )
    assert [each.what.strip() for each in made.filters] == [
        "filter { mutate { add_tag => [one] } }",
        "filter { drop { } }",
    ]
    assert "geheim" not in repr(made.filters)


def test_workers_get_the_variables_that_filters_name():
    """Machines of a cluster don't have the environment of who submits."""
    text = 'filter { mutate { add_field => { "a" => "${IN_FILTER} ${NONE:d}" } } }'
    other = 'output { elasticsearch { user => u1 password => "${SECRET}" } }'
    env = {"IN_FILTER": "v", "SECRET": "geheim", "OTHER": "o"}
    made = make_plan(
        "main", [Source("1.conf", f"{BEATS} {text} {other}")], LogstashOptions(config_string="x"), env
    ).plan
    assert [each.env for each in made.filters] == [{"IN_FILTER": "v"}]


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        (BEATS, 0),
        ("input { beats { port => 1 type => x1 tags => [a1] add_field => { a1 => b1 } } }", 3),
        (f"{BEATS} filter {{ mutate {{ remove_field => ['@version'] }} }}", 1),
        ("input { beats { port => 1 codec => json } }", 1),
    ],
)
def test_an_input_brings_filters_only_where_they_are_asked_for(text, steps):
    assert len(plan(text, NOWHERE).inputs[0].after) == steps


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("input { kinesis { kinesis_stream_name => s_1 } }", False),
        ("input { kinesis { kinesis_stream_name => s_1 } } filter { if [@metadata][partition_key] { drop { } } }", True),
        ("input { kinesis { kinesis_stream_name => s1 } } output {stdout {codec => rubydebug { metadata => true }}}", True),
        ("input { s3 { bucket => logs } }", False),
        ("input { s3 { bucket => logs include_object_properties => true } }", True),
        ("input { s3 { bucket => logs } } filter { mutate { copy => { '[@metadata][s3][key]' => key } } }", True),
    ],
)  # fmt: skip
def test_where_records_and_objects_stood_is_added_where_it_is_asked_for(text, expected):
    assert plan(text, NOWHERE).inputs[0].properties is expected


def test_logstash_fields_are_added_where_they_are_asked_for():
    after = plan(BEATS, NOWHERE, logstash_fields=True).inputs[0].after
    for word in ("@version", "[event][original]", "beats_input_codec_plain_applied"):
        assert word in repr(after)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("input { beats { hosst => 'x' } }",
         ["1.conf:1:9: beats: the option port is missing",
          "1.conf:1:17: beats: no option is called hosst; did you mean host?"]),
        ("input { beats { port => nine } }", ["1.conf:1:17: beats: port takes a number, not 'nine'"]),
        ("input { beats { port => 70000 } }", ["1.conf:1:17: beats: port 70000 is not a port: give 1 to 65535."]),
        ("input { beets { } }", ["1.conf:1:9: no input is called beets; did you mean beats?"]),
        ("input { elasticsearch { } }",
         [("1.conf:1:9: the input elasticsearch is not supported: use Elasticsearch's reindex, or export to S3 and use the "
          "input s3")]),
        (
            "output { opensearch { auth_type => { type => 'kerberos' } } }",
            ["1.conf:1:23: opensearch: auth_type kerberos is none of basic and aws_iam"],
        ),
        (
            "output { opensearch { auth_type => { type => 'aws_iam' secret => 'x' } } }",
            ["1.conf:1:23: opensearch: auth_type has no secret"],
        ),
        ("input { opensearch { } }", ["1.conf:1:9: opensearch is here as an output, not as an input"]),
        ("input { if [a] { stdin { } } }",
         ["1.conf:1:18: stdin: an input stands under no condition: there is no event to ask yet"]),
        ("input { stdin { codec => avro } }",
         [("1.conf:1:17: stdin: the codec avro is not supported: decode it where records are made, or use kinesis-to-s3's "
          "and s3-to-elasticsearch's Avro")]),
        ("input { stdin { codec => jsn } }", ["1.conf:1:17: stdin: no codec is called jsn; did you mean json?"]),
        ("input { s3 { bucket => logs delete => true } }",
         ["1.conf:1:29: s3: delete is not supported: a lifecycle rule of the bucket does it"]),
        ("input { beats { port => 1 } } output { elasticsearch { user => u1 password => '${NOWHERE}' } }",
         [("1.conf:1:67: elasticsearch: password: ${NOWHERE}: the environment has no variable NOWHERE; set it, or give a "
          "default: ${NOWHERE:...} (a keystore isn't read)")]),
        ("input { stdin { id => x1 } stdin { id => x1 } }", ["1.conf:1:36: stdin: two plugins have the id 'x1'"]),
        ("input { beats { port => '${NOWHERE}' } }",
         [("1.conf:1:17: beats: port: ${NOWHERE}: the environment has no variable NOWHERE; set it, or give a default: "
          "${NOWHERE:...} (a keystore isn't read)")]),
        ("input { beats { port => '${P}' } }", ["1.conf:1:17: beats: port takes a number, not ${P}"]),
        ("filter { grok { mtch => { } } oops { } if [a] =~ /(/ { drop { } } }",
         ["1.conf:1:17: grok: no option is called mtch; did you mean match?",
          "1.conf:1:31: no filter is called oops; docs/filters.md lists those that are here",
          "1.conf:1:50: '(' is no regular expression: a group is not closed"]),
        ("input { beats { port = 1 } }\noutput { stdout }\n",
         ["1.conf:1:22: there is no => here (at '= 1 } }'); expected =>",
          "1.conf:2:17: the plugin stdout has no braces (at '}'); expected {"]),
        ("", ["1.conf, 2.conf: there is no input { } with a plugin in it; give all files of the pipeline"]),
        ("[" * 1_000_000,
         ["1.conf:1:1: no section begins here (at '[[[[[[[[[[[[[[[[[[[['); expected input, filter or output"]),
        ("input { file { path => " + "[" * 1_000_000,
         ["1.conf:1:123: more than 100 levels of brackets, braces and parentheses (at '[[[[[[[[[[[[[[[[[[[[')"]),
        ("input { beats { po", ["1.conf:1:19: there is no => here (at the end); expected =>"]),
    ],
)  # fmt: skip
def test_every_problem_has_its_place(text, expected):
    assert problems(text, NOWHERE, env={"P": "geheim"}) == expected


def test_the_line_is_shown_with_a_mark_and_without_secrets():
    text = "input {\n  stdin { }\n}\noutput {\n\telasticsearch { password => 'ab\"c' hosts => 'http://u:pw@h' indx => 1 }\n}"
    with pytest.raises(ConfigRefused) as refused:
        plan(text)
    told, line, mark = str(refused.value).splitlines()[:3]
    assert told == "1.conf:5:62: elasticsearch: no option is called indx; did you mean index?"
    assert line == "  5 |  elasticsearch { password => ****** hosts => 'http://****@h' indx => 1 }"
    assert line[mark.index("^") :].startswith("indx")


def test_no_value_of_a_variable_is_told():
    env = {"PW": "geheim-1", "PORT": "geheim-2"}
    text = 'input { beats { port => "${PORT}" } } output { elasticsearch { user => "a" indx => "${PW}" } }'
    assert "geheim" not in "".join(problems(text, env=env))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["input.beets.port=1"], "--set input.beets.port: the pipeline has no such plugin; did you mean input.beats?"),
        (["filter.grok.match=1"], "--set filter.grok.match: begins with input or output; filters are changed in their file"),
        (["input.beats.prt=1"], "--set input.beats.prt: beats: no option is called prt; did you mean port?"),
        (["input.beats.port=x"], "--set input.beats.port: beats: port takes a number, not 'x'"),
    ],
)  # fmt: skip
def test_overrides_that_nothing_takes(given, message):
    assert problems(BEATS, NOWHERE, set=given) == [message]


def test_notes_name_what_is_ignored_and_what_only_old_versions_know():
    notes = plan(
        BEATS,
        'output { elasticsearch { flush_size => 5 pool_max => 3 hosts => "h" } kinesis { stream_name => "s" } }',
    ).notes
    assert notes[0].startswith("1.conf:1: beats: listens on 0.0.0.0")
    assert notes[1].startswith("2.conf:1: elasticsearch: pool_max is ignored: ")
    assert notes[2].startswith(
        "2.conf:1: only older versions of Logstash have this (--compat 6 takes all of their defaults); taken: "
        "elasticsearch: flush_size (the sizes of bulks "
    )
    assert notes[3].startswith("other than in Logstash, on purpose: ids are made from events")
    assert len(notes) == 4


def test_options_need_a_configuration():
    with pytest.raises(OptionError, match="-f FILE is required"):
        LogstashOptions()


def test_filters_keep_their_name_when_another_section_changes():
    """A letter names its filters; an output that was mended must not keep it from its replay."""
    filters = 'filter { mutate { add_tag => ["a"] } }'
    names = {
        tuple(map(filters_name, plan(text).filters))
        for text in (
            f"input {{ stdin {{ }} }} {filters} output {{ stdout {{ }} }}",
            f"# mended\ninput {{ stdin {{ }} }}\n{filters}\noutput {{ null {{ }} stdout {{ id => 'x' }} }}",
        )
    }
    assert len(names) == 1
