"""Filters that look things up: dictionaries and networks in files, MaxMind's databases."""

import os
import re

import pytest

from penstock.transforms.logstash import ConfigError, compile_filters
from tests.tools.samples.maxmind import database


def apply(config, event, ecs="v8"):
    (found,) = compile_filters(f"filter {{ {config} }}", ecs_compatibility=ecs).apply(event)
    return found


def rewrite(path, text):
    """Another content and another time of change, whatever the file system's clock."""
    path.write_text(text)
    os.utime(path, ns=(rewrite.time, rewrite.time))
    rewrite.time += 10**9


rewrite.time = 10**18


@pytest.mark.parametrize(("behaviour", "old"), [("merge", "1"), ("replace", "none")])
def test_a_dictionary_follows_its_file(tmp_path, behaviour, old):
    path = tmp_path / "words.yml"
    rewrite(path, '"a": "1"')
    chain = compile_filters(
        f"filter {{ translate {{ source => 'm' target => 't' dictionary_path => '{path}' refresh_interval => 0.000001 "
        f"refresh_behaviour => {behaviour} fallback => 'none' }} }}"
    )

    def word(text):
        return chain.apply({"m": text})[0]["t"]

    assert (word("a"), word("b")) == ("1", "none")
    rewrite(path, '"b": "2"')
    assert (word("a"), word("b")) == (old, "2")
    rewrite(path, '"b": [')
    assert word("b") == "2"  # a file that cannot be read leaves the old dictionary
    path.unlink()
    assert word("b") == "2"


@pytest.mark.parametrize(
    "text", ["- a list", "a: &x [1]\nb: *x", "a: !!python/object:os.system {}", "a: " + "[" * 2000, "text"]
)
def test_a_file_that_holds_no_dictionary_is_refused(tmp_path, text):
    (tmp_path / "words.yml").write_text(text)
    with pytest.raises(ConfigError, match=r"words\.yml"):
        apply(f"translate {{ source => 'm' dictionary_path => '{tmp_path}/words.yml' }}", {})


@pytest.mark.parametrize(
    ("values", "made", "tags"), [([], [], None), ([5, "9"], ["x", "f"], ["hit"]), (None, [], None)]
)
def test_an_array_without_results_is_no_success(values, made, tags):
    found = apply(
        "translate { iterate_on => 'v' source => 'v' target => 't' dictionary => { '5' => 'x' } fallback => 'f' "
        "add_tag => 'hit' }",
        {"v": values},
    )
    assert (found["t"], found.get("tags")) == (made, tags)


@pytest.mark.parametrize(
    ("options", "event", "made"),
    [
        ("method => PUNCTUATION source => ['b', 'a']", {"a": "a.", "b": "b!"}, "!"),
        ("method => IPV4_NETWORK key => 24 source => 'a'", {"a": "10.1.2.3"}, "10.1.2.0"),
        ("method => IPV4_NETWORK key => 16 source => 'a'", {"a": "1:2::3"}, "1::"),
    ],
)
def test_fingerprints(options, event, made):
    assert apply(f"fingerprint {{ target => 't' {options} }}", event)["t"] == made


@pytest.mark.parametrize("value", [True, {"a": 1}, [[1]]])
def test_a_priority_that_is_no_number_costs_the_event(value):
    with pytest.raises(TypeError, match="no number"):
        apply("syslog_pri { syslog_pri_field_name => 'p' }", {"p": value})


@pytest.mark.parametrize("value", [5, ["a."], None])
def test_punctuation_of_what_is_no_text_costs_the_event(value):
    with pytest.raises(TypeError, match="PUNCTUATION"):
        apply("fingerprint { method => PUNCTUATION source => 'a' target => 't' }", {"a": value})


@pytest.mark.parametrize(
    ("written", "value"),
    [("1,000", 1000), ("-.5", -0.5), ("12:30", 45000), ("1:02:03", 3723), ("1:60", "1:60"), ("=", "="), ("<<", "<<"),
     ("1_000", 1000), ("1__0", "1__0"),
     ("2020-01-02T03:04:05+02:00", "2020-01-02T01:04:05.000Z"), ("yes", True), ("012", 10), ("a,b", "a,b")],
)  # fmt: skip
def test_values_of_yaml_are_rubys(tmp_path, written, value):
    (tmp_path / "words.yml").write_text(f"k: {written}\n")
    found = apply(
        f"translate {{ source => 'm' target => 't' dictionary_path => '{tmp_path}/words.yml' }}", {"m": "k"}
    )["t"]
    assert (type(found), found) == (type(value), value)


def test_outlooks_version_of_the_system():
    header = "MacOutlook/16.24.0.190414 (Intelx64 Mac OS X Version 10.14.4 (Build 18E226))"
    found = apply("useragent { source => 'm' target => 't' }", {"m": header}, ecs="disabled")["t"]
    assert (found["name"], found["version"]) == ("MacOutlook", "16.24.0.190414")
    assert (found["os_full"], found["os_major"], found["os_minor"]) == ("Mac OS X 10.14.4", "10", "14")


def test_a_value_of_a_dictionary_belongs_to_its_event():
    chain = compile_filters(
        "filter { translate { source => 'm' target => 't' dictionary => { 'a' => ['x'] } } "
        "mutate { add_field => { 't' => 'y' } } }"
    )
    assert [chain.apply({"m": "a"})[0]["t"] for _ in range(2)] == [["x", "y"]] * 2


def test_networks_follow_their_file(tmp_path):
    path = tmp_path / "networks"
    rewrite(path, "10.0.0.0/8")
    chain = compile_filters(
        f"filter {{ cidr {{ address => '%{{ip}}' network_path => '{path}' refresh_interval => 0 add_tag => 'in' }} }}"
    )
    assert "tags" in chain.apply({"ip": "10.1.1.1"})[0]
    rewrite(path, "nonsense\n11.0.0.0/255.0.0.0\n")
    assert "tags" not in chain.apply({"ip": "10.1.1.1"})[0]
    assert "tags" in chain.apply({"ip": "11.1.1.1"})[0]


CITY = {
    "city": {"names": {"en": "Boxford"}},
    "continent": {"code": "EU", "names": {"en": "Europe"}},
    "country": {"iso_code": "GB", "names": {"en": "United Kingdom"}},
    "location": {"latitude": 51.75, "longitude": -1.25, "time_zone": "Europe/London"},
    "postal": {"code": "OX1"},
    "subdivisions": [{"iso_code": "ENG", "names": {"en": "England"}},
                     {"iso_code": "WBK", "names": {"en": "West Berkshire"}}],
}  # fmt: skip


@pytest.fixture
def city(tmp_path):
    return database(
        tmp_path / "city.mmdb",
        "GeoLite2-City",
        {"2.125.160.216/29": CITY, "1.0.0.0/24": {"country": {"iso_code": "AU"}}},
    )


def test_geoip_in_the_flat_form(city):
    found = apply(
        f"geoip {{ source => 'ip' database => '{city}' add_tag => 'ok' }}",
        {"ip": "2.125.160.217"},
        ecs="disabled",
    )
    assert found["tags"] == ["ok"]
    assert found["geoip"] == {
        "ip": "2.125.160.217", "city_name": "Boxford", "continent_code": "EU", "continent_name": "Europe",
        "country_name": "United Kingdom", "country_code2": "GB", "country_code3": "GB", "postal_code": "OX1",
        "region_name": "West Berkshire", "region_code": "WBK", "region_iso_code": "GB-WBK", "timezone": "Europe/London",
        "location": {"lat": 51.75, "lon": -1.25}, "latitude": 51.75, "longitude": -1.25,
    }  # fmt: skip


def test_geoip_by_the_elastic_common_schema(city):
    found = apply(
        f"geoip {{ source => '[client][ip]' database => '{city}' }}",
        {"client": {"ip": ["2.125.160.217"], "port": 1}},
    )
    assert found["client"]["port"] == 1
    assert found["client"]["ip"] == "2.125.160.217"
    assert found["client"]["geo"]["location"] == {"lat": 51.75, "lon": -1.25}
    assert found["client"]["geo"]["country_iso_code"] == "GB"
    with pytest.raises(ConfigError, match="target"):
        apply(f"geoip {{ source => 'address' database => '{city}' }}", {})


@pytest.mark.parametrize("address", ["9.9.9.9", "1.0.0.1", "localhost", "", None, "::1"])
def test_an_address_without_a_place_is_tagged(city, address):
    found = apply(
        f"geoip {{ source => 'ip' target => 't' database => '{city}' add_tag => 'ok' }}", {"ip": address}
    )
    assert found["tags"] == ["_geoip_lookup_failure"]
    assert found["t"] == {}


def test_geoip_with_the_operators_of_networks(tmp_path):
    path = database(
        tmp_path / "asn.mmdb",
        "GeoLite2-ASN",
        {"1.128.0.0/11": {"autonomous_system_number": 1221, "autonomous_system_organization": "Telstra"}},
    )
    found = apply(f"geoip {{ source => 'ip' target => 't' database => '{path}' }}", {"ip": "1.128.0.1"})
    assert found["t"]["as"] == {"number": 1221, "organization": {"name": "Telstra"}}


def test_geoip_without_a_usable_database_is_refused(tmp_path):
    (tmp_path / "no.mmdb").write_text("no database")
    for options in ("", f"database => '{tmp_path}/no.mmdb'", f"database => '{tmp_path}/missing.mmdb'"):
        with pytest.raises(ConfigError, match="database"):
            apply(f"geoip {{ source => 'ip' target => 't' {options} }}", {})


@pytest.mark.parametrize("kind", ["pipe", "folder", "dangling link", "bytes", "long name"])
@pytest.mark.parametrize(
    ("config", "option"),
    [
        ("translate {{ source => 'm' dictionary_path => '{}.json' }}", "dictionary_path"),
        ("translate {{ source => 'm' dictionary_path => '{}.yml' }}", "dictionary_path"),
        ("geoip {{ source => 'm' target => 't' database => '{}' }}", "database"),
        ("useragent {{ source => 'm' target => 't' regexes => '{}' }}", "regexes"),
        ("cidr {{ address => '%{{m}}' network_path => '{}' }}", "network_path"),
        ("grok {{ match => {{ message => 'x' }} patterns_dir => ['{}'] }}", "patterns_dir"),
    ],
)  # fmt: skip
def test_what_is_no_file_is_refused_at_the_start(tmp_path, config, option, kind):
    """A pipe kept the start waiting for ever; networks were missed at the first event, without a word."""
    name = "n" * 300 if kind == "long name" else "file"
    text = config.format(tmp_path / name)
    path = tmp_path / re.search(r"/([^/']+)'", text)[1]
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "dangling link":
            path.symlink_to("nowhere")
        case "bytes":
            path.write_bytes(b"\xff\xfe\x00")
    if option == "patterns_dir" and kind in ("folder", "dangling link", "long name"):
        return  # a folder may be empty, and a pattern that fits nothing too, as in Logstash
    with pytest.raises(ConfigError, match=option):
        apply(text, {})
