"""Times that the filter `date` reads, where the shared cases do not reach."""

import datetime
import zoneinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.transforms.logstash import ConfigError, compile_filters
from penstock.transforms.logstash.values._date_formats import joda_format
from penstock.transforms.logstash.values.event import Timestamp
from tests.tools.samples.examples import examples

NOW = "2026-06-01T00:00:00Z"


def read(text, *formats, options="", now=NOW, zone="UTC"):
    """The time that is read, or None with a failure tag."""
    quoted = ", ".join(f'"{each}"' for each in formats)
    config = f'filter {{ date {{ match => ["t", {quoted}] target => "time" {options} }} }}'
    (event,) = compile_filters(config, now=now, timezone=zone).apply({"t": text})
    assert ("time" in event) != (event.get("tags") == ["_dateparsefailure"])
    return event.get("time")


# Text, pattern, the time; None: the text does not fit.
PATTERNS = [
    ("20010203", "yyyyMMdd", "2001-02-03T00:00:00.000Z"),
    ("200123", "yyyyMd", None),  # a number never gives a digit back
    ("2001-02-03 24", "yyyy-MM-dd kk", "2001-02-03T00:00:00.000Z"),
    ("12:30 am", "hh:mm a", "2026-01-01T00:30:00.000Z"),
    ("11 PM", "KK a", "2026-01-01T23:00:00.000Z"),
    ("13 PM", "hh a", None),
    ("2001-045", "yyyy-DDD", "2001-02-14T00:00:00.000Z"),
    ("Mon, 02 Jan 2001", "EEE, dd MMM yyyy", "2001-01-01T00:00:00.000Z"),  # a Tuesday: the week's Monday
    ("2001", "CCyy", "2001-01-01T00:00:00.000Z"),
    ("2001", "yy", "2001-01-01T00:00:00.000Z"),  # four digits are a year as it stands
    ("990102", "yyMMdd", "1999-01-02T00:00:00.000Z"),
    ("2001T'x", "yyyy'T'''x", None),
    ("2001T'", "yyyy'T'''", "2001-01-01T00:00:00.000Z"),
    ("2001t01", "yyyy'T'MM", "2001-01-01T00:00:00.000Z"),  # texts in any case
    ("03:04:05.1234", "HH:mm:ss.SSS", None),
    ("2001-01-02 03 EST", "yyyy-MM-dd HH ZZZ", "2001-01-02T08:00:00.000Z"),
    ("2001-01-02 03 PST", "yyyy-MM-dd HH ZZZ", None),
    ("2001-07-02 03 PST", "yyyy-MM-dd HH z", "2001-07-02T10:00:00.000Z"),  # the zone, so summer time
    ("2001-01-02 03 +0230", "yyyy-MM-dd HH Z", "2001-01-02T00:30:00.000Z"),
    ("2001-01-02 03 +24", "yyyy-MM-dd HH Z", None),
    ("Feb 29", "MMM dd", None),
    ("2001-02-03x", "yyyy-MM-dd", None),
    ("٢٠٠١", "yyyy", None),
]


@pytest.mark.parametrize(("text", "pattern", "time"), PATTERNS)
def test_patterns_are_read_as_joda_time_does(text, pattern, time):
    assert read(text, pattern) == time


ISO = [
    ("2001-W05-3", "2001-01-31T00:00:00.000Z"),
    ("2001-045", "2001-02-14T00:00:00.000Z"),
    ("2001", "2001-01-01T00:00:00.000Z"),
    ("2001-01-01T10.5", "2001-01-01T10:30:00.000Z"),
    ("2001-01-01T10:20.25", "2001-01-01T10:20:15.000Z"),
    ("2001-01-01T10:20:30,1239999999999Z", "2001-01-01T10:20:30.123Z"),
    ("T10:20:30Z", "1970-01-01T10:20:30.000Z"),
    ("2001-01-01T10:20:30+01", "2001-01-01T09:20:30.000Z"),
    ("2001-01-01 10:20:30.1-0100", "2001-01-01T11:20:30.100Z"),
    ("2001-01-01 10:20:30", None),
    ("2001-01-01T24:00:00", None),
    ("2001-02-30", None),
    ("", None),
    ("T", None),
    (5, None),
]


@pytest.mark.parametrize(("text", "time"), ISO)
def test_iso_8601(text, time):
    assert read(text, "ISO8601") == time


def test_a_gap_in_local_time_fails_and_a_doubled_hour_is_the_first():
    assert read("2021-03-28T02:30:00", "ISO8601", zone="Europe/Berlin") is None
    assert read("2021-10-31T02:30:00", "ISO8601", zone="Europe/Berlin") == "2021-10-31T00:30:00.000Z"


@pytest.mark.parametrize(
    ("now", "text", "time"),
    [
        ("2026-01-01T00:00:00Z", "Dec 31 23:59:00", "2025-12-31T23:59:00.000Z"),
        ("2026-12-31T00:00:00Z", "Jan 01 00:00:01", "2027-01-01T00:00:01.000Z"),
        ("2026-01-01T00:00:00Z", "Nov 30 00:00:00", "2026-11-30T00:00:00.000Z"),
        ("2028-03-01T00:00:00Z", "Feb 29 00:00:00", "2028-02-29T00:00:00.000Z"),
    ],
)
def test_a_missing_year_is_the_clocks_but_at_new_year(now, text, time):
    assert read(text, "MMM dd HH:mm:ss", now=now) == time


def test_names_of_other_languages():
    assert read("02 Dez. 2001", "dd MMM yyyy", options='locale => "de"') == "2001-12-02T00:00:00.000Z"
    assert read("02 Dez 2001", "dd MMM yyyy", options='locale => "de"') is None
    assert read("2 FÉVRIER 2001", "d MMMM yyyy", options='locale => "fr_FR"') == "2001-02-02T00:00:00.000Z"
    for locale, text in (
        ("en-GB", "2 Sept 2001"), ("en-US", "2 Sep 2001"), ("en_AU", "2 Sept 2001"), ("en-CA", "2 Sep. 2001"),
        ("de-DE", "2 Sept. 2001"), ("de-AT", "2 Sep. 2001"), ("es", "2 sept 2001"), ("es-MX", "2 sep. 2001"),
        ("nb", "2 sep. 2001"), ("ja", "2 9月 2001"), ("ko-KR", "2 9월 2001"), ("zh", "2 九月 2001"), ("bg", "2 сеп 2001"),
    ):  # fmt: skip
        assert read(text, "d MMM yyyy", options=f'locale => "{locale}"') == "2001-09-02T00:00:00.000Z", locale
    assert read("2 Sept 2001", "d MMM yyyy", options='locale => "en-US"') is None
    chain = compile_filters('filter { date { match => ["t", "MMM"] locale => "xx" } }')
    assert "xx" in " ".join(chain.warnings)


@pytest.mark.parametrize(
    "options",
    ['match => ["t"]', 'match => ["t", "yyyy.QQ"]', 'match => ["t", "UNIX"] timezone => "No/Where"'],
)
def test_what_cannot_work_is_refused(options):
    with pytest.raises(ConfigError):
        compile_filters(f"filter {{ date {{ {options} }} }}")


ROUND_TRIPS = [
    "yyyy-MM-dd HH:mm:ss.SSS", "dd/MMM/yyyy:HH:mm:ss.SSS Z", "EEE MMM dd HH:mm:ss.SSS yyyy", "yyyyMMddHHmmssSSS",
    "yyyy-DDD hh:mm:ss.SSS a", "MMMM d, yyyy K:m:s.SSS a ZZ", "EEEE yyyy/M/d k:mm:ss,SSS",
]  # fmt: skip
ZONES = ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia"]
MINUTES = (datetime.date(2200, 1, 1) - datetime.date(1901, 1, 1)).days * 24 * 60
times = st.builds(
    lambda minutes, milliseconds: (
        datetime.datetime.fromisoformat("1901-01-01")
        + datetime.timedelta(minutes=minutes, milliseconds=milliseconds)
    ),
    st.integers(0, MINUTES),
    st.integers(0, 59_999),
)


@given(times, st.sampled_from(ROUND_TRIPS))
@examples(300)
def test_a_time_that_is_written_is_read_again(moment, pattern):
    time = Timestamp(moment.isoformat(timespec="milliseconds") + "Z")
    assert read(joda_format(pattern)(time), pattern) == time


@given(
    times,
    st.sampled_from(
        ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia"]
    ),
)
@examples(300)
def test_local_times_are_those_of_the_zone(moment, name):
    zone = zoneinfo.ZoneInfo(name)
    moment = moment.replace(microsecond=0)
    aware = moment.replace(tzinfo=zone)
    exists = aware.astimezone(datetime.UTC).astimezone(zone).replace(tzinfo=None) == moment
    wanted = aware.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z").rjust(24, "0")
    assert read(moment.isoformat(), "ISO8601", zone=name) == (wanted if exists else None)
