"""Globs, dates in keys and times of change choose the objects."""

import datetime

import pytest

from penstock.io.archive import ArchiveOptions
from penstock.io.errors import OptionError
from penstock.io.s3._selection import dates_of_key, literal_prefix, pattern_of, selector
from penstock.io.s3.options import S3ReadOptions
from penstock.io.s3.origin import S3Object


def ms(*parts):
    return round(datetime.datetime(*parts, tzinfo=datetime.UTC).timestamp() * 1000)


DAY = (ms(2026, 11, 22), ms(2026, 11, 23))
HOUR = (ms(2026, 11, 22, 6), ms(2026, 11, 22, 7))


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("lake/dt=2026-11-22/hour=06/x.parquet", HOUR),
        ("lake/dt=2026-11-22/x", DAY),
        ("a/year=2026/month=11/day=22/hour=6/x", HOUR),
        ("a/year=2026/month=11/day=22/x", DAY),
        ("a/year=2026/month=12/x", (ms(2026, 12, 1), ms(2027, 1, 1))),
        ("firehose/2026/11/22/06/stream-1-2026-11-22-06-59-59-x", HOUR),
        ("AWSLogs/1/CloudTrail/us-east-1/2026/11/22/1_CloudTrail_20261122T0605Z_x.json.gz", DAY),
        ("app-2026-11-22.log.gz", DAY),
        ("app-2026-11-22T06.log", HOUR),
        ("app.log-20261122", DAY),
        ("app.log", None),
        ("id-2026-99-99", None),
        ("build/12345678901", None),
    ],
)
def test_dates_of_keys(key, expected):
    assert dates_of_key(key) == expected


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("logs/", ["logs/a", "logs/a/b"], ["log/a"]),
        ("logs/*.gz", ["logs/a.gz", "logs/a/b.gz"], ["logs/a.gz2", "x/logs/a.gz"]),
        ("a?c", ["abc"], ["ac", "abcd"]),
        ("x[0-9].log", ["x1.log"], ["xa.log", "x10.log"]),
        ("x[!0-9]", ["xa"], ["x1"]),
        ("dt=2026-11-2[12]/*", ["dt=2026-11-21/x"], ["dt=2026-11-23/x"]),
        ("a+b(c)*", ["a+b(c)d"], ["aab(c)"]),
    ],
)
def test_globs(pattern, yes, no):
    fits = pattern_of(pattern)
    for key in yes:
        assert fits(key)
        assert key.startswith(literal_prefix(pattern))
    assert not any(fits(key) for key in no)


def listed(key, modified_ms=0):
    return S3Object("b", key, 1, "e", modified_ms)


def test_time_ranges_and_excludes():
    wanted = selector(
        S3ReadOptions(
            input=["s3://bucket/x"],
            from_time="2026-11-22T06:30",
            to_time="2026-11-22T08:00Z",
            exclude_pattern=r"\.tmp$",
        )
    )
    assert [wanted(listed(f"dt=2026-11-22/hour={hour:02d}/x")) for hour in range(5, 10)] == [
        False, True, True, False, False,
    ]  # fmt: skip
    assert wanted(listed("no date"))
    assert not wanted(listed("no date.tmp"))
    assert wanted(listed("dt=2026-11-22/whole day"))
    wanted = selector(S3ReadOptions(input=["x"], modified_after="2026-11-22", modified_before="2026-11-23"))
    assert [wanted(listed("x", time)) for time in (DAY[0] - 1, DAY[0], DAY[1] - 1, DAY[1])] == [
        False,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("given", "flag"),
    [
        ({}, "--input"),
        ({"input": ["gs://x"]}, "--input"),
        ({"input": ["s3://"]}, "--input"),
        ({"input": ["x"], "from_time": "yesterday"}, "--from"),
        ({"input": ["x"], "from_time": "2026-02-01", "to_time": "2026-01-01"}, "--from .* --to"),
        (
            {"input": ["x"], "modified_after": "2026-01-01", "modified_before": "2026-01-01"},
            "--modified_after .* --modified_before",
        ),
        ({"input": ["x"], "exclude_pattern": "("}, "--exclude_pattern"),
        ({"input": ["x"], "manifest": "x.json"}, "--manifest"),
        ({"input": ["x"], "manifest": "dynamodb:"}, "--manifest"),
        ({"input": ["x"], "split_bytes": 1000}, "--split_bytes"),
        ({"input": ["x"], "max_events_per_second": -1.0}, "--max_events_per_second"),
        ({"input": ["x"], "sse_customer_key": "c2hvcnQ="}, "--sse_customer_key"),
    ],
)
def test_wrong_options_name_the_flag(given, flag):
    with pytest.raises(OptionError, match=flag):
        S3ReadOptions(**given)


@pytest.mark.parametrize(
    "given",
    [
        {"archive": "x"},
        {"archive": "s3://bucket/p", "archive_format": "orc"},
        {"archive": "s3://bucket", "roll_bytes": 0},
    ],
)
def test_wrong_archive_options(given):
    with pytest.raises(OptionError):
        ArchiveOptions(**given)


def test_the_key_of_encrypted_objects_is_never_shown():
    secret = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
    assert secret not in repr(S3ReadOptions(input=["x"], sse_customer_key=secret))
