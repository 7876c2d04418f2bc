"""Options of the read: what is refused names its flag; what is taken means what KCL means."""

import datetime

import pytest

from penstock.io.errors import OptionError
from penstock.io.kinesis.read_options import KinesisReadOptions, ReadSettings


def options(**given):
    return KinesisReadOptions(
        given.pop("kinesis_stream_name", "orders"), **{"application_name": "app", **given}
    )


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"kinesis_stream_name": ""}, "--kinesis_stream_name"),
        ({"kinesis_stream_name": "a b"}, "--kinesis_stream_name"),
        ({"kinesis_stream_name": "arn:aws:kinesis:us-east-1:12:stream/x"}, "--kinesis_stream_name"),
        ({"application_name": "ab"}, "--application_name"),
        (
            {"application_name": ""},
            "--application_name is required.*goes on with --application_name logstash",
        ),
        (
            {"application_name": "", "checkpoints": "none", "metrics": "cloudwatch"},
            "--application_name is required",
        ),
        ({"application_name": "a/b/c"}, "--application_name"),
        ({"initial_position_in_stream": "latest"}, "--initial_position_in_stream"),
        ({"checkpoints": "s3"}, "--checkpoints"),
        ({"out_of_range": "x"}, "--out_of_range"),
        ({"metrics": "detailed"}, "--metrics"),
        ({"checkpoint_interval_seconds": 0}, "--checkpoint_interval_seconds"),
        ({"fetch_threads": 0}, "--fetch_threads"),
        ({"max_pending_bytes": 0}, "--max_pending_bytes"),
        ({"shard_reads_per_second": -1.0}, "--shard_reads_per_second"),
        ({"read_splits": -1}, "--read_splits"),
        ({"read_splits": 2, "checkpoints": "none"}, "--read_splits"),
        ({"initial_position_in_stream": "AT_TIMESTAMP"}, "--initial_position_timestamp"),
        ({"initial_position_timestamp": "2026-01-01"}, "--initial_position_in_stream"),
        (
            {"initial_position_in_stream": "AT_TIMESTAMP", "initial_position_timestamp": "yesterday"},
            "--initial_position_timestamp",
        ),
        (
            {"initial_position_in_stream": "AT_TIMESTAMP", "initial_position_timestamp": "1763791200000"},
            "in the future.*seconds, not milliseconds",
        ),
        ({"additional_settings": ["maxRecords=0"]}, "maxRecords"),
        ({"additional_settings": ["maxRecords=10001"]}, "maxRecords"),
        ({"additional_settings": ["maxRecords"]}, "maxRecords"),
        ({"additional_settings": ["failoverTimeMillis=1e4"]}, "failoverTimeMillis"),
        ({"additional_settings": ["maxLeasesForWorker=1"]}, "maxLeasesForWorker"),
    ],
)
def test_what_is_refused_names_its_flag(given, named):
    with pytest.raises(OptionError, match=named):
        options(**given)


def test_name_and_arn():
    arn = "arn:aws-cn:kinesis:cn-north-1:123456789012:stream/orders"
    assert options(kinesis_stream_name=arn).stream_name == options().stream_name == "orders"


def test_settings_of_kcl():
    assert ReadSettings.parse([]) == ReadSettings(10_000, 250, 10_000, 60_000)
    settings = options(additional_settings=["maxRecords=500", " failoverTimeMillis = 20000 "]).settings
    assert settings == ReadSettings(500, 250, 20_000, 60_000)


@pytest.mark.parametrize(
    "text",
    [
        "2025-11-22T06:00:00Z",
        "2025-11-22T06:00:00",
        "2025-11-22T07:00:00+01:00",
        "1763791200",
        "1763791200.0",
    ],
)
def test_times(text):
    given = options(initial_position_in_stream="AT_TIMESTAMP", initial_position_timestamp=text)
    expected = datetime.datetime(2025, 11, 22, 6, tzinfo=datetime.UTC).timestamp()
    assert given.initial_timestamp == expected
    assert options().initial_timestamp is None
