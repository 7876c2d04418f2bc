"""`kinesis` gives editors and mypy the keywords of `ReadFromKinesis` and `WriteToKinesis`.

Made by docs/make_keywords.py from the options classes; change them there.
"""

from collections.abc import Sequence
from typing import Literal

from penstock.io.keywords.aws import AwsKeywords

__all__ = ["ReadKeywords", "WriteKeywords"]


class ReadKeywords(AwsKeywords, total=False):
    """Keywords of `ReadFromKinesis`."""

    stream_name: str
    """Stream to read: its name or ARN. Required."""

    kinesis_stream_name: str
    """The same as `stream_name`."""

    application_name: str
    """Name of the application and of its lease table in DynamoDB (KCL's format); required with a lease table or metrics.
    Jobs with the same name share the shards of one stream.
    """

    checkpoint_interval_seconds: int
    """Seconds between checkpoints of a shard. Longer: fewer writes to DynamoDB; shorter: less is read again after a crash.
    Default: 60.
    """

    initial_position_in_stream: Literal["TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"]
    """Where a shard without a checkpoint starts: its oldest record, its newest, or `initial_position_timestamp`. One of
    TRIM_HORIZON, LATEST, AT_TIMESTAMP. Default: TRIM_HORIZON.
    """

    initial_position_timestamp: str | None
    """Time from which AT_TIMESTAMP reads: ISO 8601 (UTC unless it has an offset) or seconds since 1970."""

    checkpoints: Literal["dynamodb", "none"]
    """Where checkpoints are kept. none: no DynamoDB; only the runner's own state knows the positions, and this job must be
    the only reader of its application. One of dynamodb, none. Default: dynamodb.
    """

    reset_checkpoints: bool
    """Forget the application's checkpoints when the job starts, and read from the initial position. Default: False."""

    out_of_range: Literal["keep", "drop"]
    """User records whose hash key is outside their shard: keep (KPL sends them again after a reshard, which the document id
    absorbs; other producers never do) or drop, which is KCL's rule. One of keep, drop. Default: keep.
    """

    metrics: Literal["nil", "cloudwatch"]
    """cloudwatch: KCL's metrics, in the application's namespace. One of nil, cloudwatch. Default: nil."""

    additional_settings: str | Sequence[str]
    """KCL's settings as name=value: maxRecords (10000), idleTimeBetweenReadsInMillis (250), failoverTimeMillis (10000),
    shardSyncIntervalMillis (60000).
    """

    shard_reads_per_second: float
    """Most reads of one shard per second; the service's limit is 5 for all consumers. 0: no limit. Default: 5.0."""

    shard_bytes_per_second: int
    """Most bytes read of one shard per second; the service's limit is 2 MiB. 0: no limit. Default: 2097152."""

    fetch_threads: int
    """Threads that read shards. More of them read more busy shards at once; each may hold a reply of 10 MiB. Default: 8.
    """

    read_splits: int
    """Splits that the runner deals out, each a worker with shards of its own. 0: as many as the runner's --parallelism. More
    of them leave room for a later resumption with a higher parallelism, since a savepoint keeps their number. More than 1
    needs `checkpoints`=dynamodb; the DirectRunner has one. Default: 0.
    """

    max_pending_events: int
    """Most events read and not yet acknowledged. At this bound reading waits. Default: 50000."""

    max_pending_bytes: int
    """Most bytes of memory for events read and not yet acknowledged. At this bound reading waits. Default: 67108864."""

    max_batch_events: int
    """Events in one batch. More: fewer, larger writes downstream; fewer: less latency under load. The default fills the
    bulks that Elasticsearch is sent at once. Default: 4000.
    """


class WriteKeywords(AwsKeywords, total=False):
    """Keywords of `WriteToKinesis`."""

    stream_name: str
    """Stream to write to: its name or ARN, or a pattern of either (logs-%{field}, %{+yyyy.MM.dd}) that events fill in.
    Required.
    """

    event_partition_keys: str | Sequence[str]
    """Fields for the partition key: the first that is present and not empty. Without any, and without
    `randomized_partition_key`, the key is '-', so that all events go to one shard.
    """

    partition_key_prefix: str
    """Text in front of the value of such a field. Logstash puts - there."""

    randomized_partition_key: bool
    """Random partition keys, so that events spread over all shards. With aggregation, the events of one aggregated record
    share one random key. Gives up the order within a key. Default: False.
    """

    aggregation_enabled: bool | None
    """Pack several events into one Kinesis record, in the Kinesis Producer Library's format. By default yes, but no on a
    stream whose service chooses the shards (RecordDistributionStrategy AUTO).
    """

    aggregation_max_count: int
    """Events in one aggregated record, at most. Default: 4294967295."""

    aggregation_max_size: int
    """Bytes of one aggregated record, at most; larger is cheaper, smaller spreads better. Default: 51200."""

    collection_max_count: int
    """Records in one PutRecords, at most 500. Default: 500."""

    collection_max_size: int
    """Bytes of one PutRecords, partition keys counted, at most 10485760; a larger record goes alone. Default: 5242880."""

    record_ttl: int
    """Milliseconds after which an event that could not be written goes to the dead letters; 0: never, it is tried for as
    long as it takes. Default: 0.
    """

    max_pending_records: int
    """Events on their way into the stream and not yet stored, at most, whatever the source; beyond it batches, and so the
    reading, wait (one batch always goes). Raise it (10000) for throughput. Default: 1000.
    """

    rate_limit: int
    """Per cent of a shard's limit (1,000 records, 1 MiB per second) that one process sends; more than 100 lets several
    processes share unevenly, much more only makes Kinesis throttle. An on-demand stream tells its limit by its replies.
    Default: 150.
    """

    fail_if_throttled: bool
    """Send throttled events to the dead letters at once instead of trying again. Default: False."""

    keep_order: bool
    """Keep the order within a partition key even when Kinesis refuses single records: one record per request and shard
    (without aggregation: and key). false fills requests; moot with random keys. Default: True.
    """

    max_connections: int
    """Requests in flight at once, at most. Default: 24."""

    data_plane: Literal["thin", "boto3"]
    """Who makes the PutRecords calls: our own thin client or boto3's. One of thin, boto3. Default: thin."""

    stop_timeout: float
    """Seconds that a clean stop goes on trying to write what was read; then it ends unacknowledged. Default: 30.0."""

    metrics_level: Literal["none", "summary", "detailed", "cloudwatch"]
    """CloudWatch metrics: none; summary, without dimensions by shard; detailed. cloudwatch means detailed. One of none,
    summary, detailed, cloudwatch. Default: detailed.
    """

    metrics_granularity: Literal["global", "stream", "shard"]
    """Finest dimension of the metrics. One of global, stream, shard. Default: shard."""

    metrics_namespace: str
    """CloudWatch namespace of the metrics. Default: KinesisProducerLibrary."""

    metrics_upload_delay: int
    """Milliseconds between uploads of the metrics. Default: 60000."""

    metrics_access_key: str | None
    """Access key for CloudWatch, where it isn't the job's; needs `metrics_secret_key`."""

    metrics_secret_key: str | None
    """Secret key for CloudWatch; needs `metrics_access_key`."""

    metrics_role_arn: str | None
    """Role to assume for CloudWatch."""
