"""`KinesisWriteOptions` holds the options of the Kinesis write, with the names and the defaults of Logstash's plugin."""

import dataclasses

from penstock.io.aws.session import AwsOptions, require_role
from penstock.io.errors import OptionError
from penstock.io.kinesis.write.routing import PartitionKeys, StreamName
from penstock.io.options import option

__all__ = ["MAX_RECORD", "KinesisWriteOptions"]

MAX_RECORD = 1 << 20
"""Bytes of one record, its partition key counted, where the stream's MaxRecordSizeInKiB doesn't say otherwise."""
_MAX_RECORDS = 500
_MAX_REQUEST = 10 << 20


@dataclasses.dataclass(frozen=True)
class KinesisWriteOptions:
    """How events are written to Kinesis."""

    stream_name: str = option(
        help="Stream to write to: its name or ARN, or a pattern of either (logs-%{field}, %{+yyyy.MM.dd}) that "
        "events fill in."
    )
    event_partition_keys: list[str] = option(
        [],
        help="Fields for the partition key: the first that is present and not empty. Without any, and without "
        "--randomized_partition_key, the key is '-', so that all events go to one shard.",
    )
    partition_key_prefix: str = option(
        "", help="Text in front of the value of such a field. Logstash puts - there."
    )
    randomized_partition_key: bool = option(
        False,
        help="Random partition keys, so that events spread over all shards. With aggregation, the events of "
        "one aggregated record share one random key. Gives up the order within a key.",
    )
    aggregation_enabled: bool | None = option(
        None,
        help="Pack several events into one Kinesis record, in the Kinesis Producer Library's format. By default yes, but "
        "no on a stream whose service chooses the shards (RecordDistributionStrategy AUTO).",
    )
    aggregation_max_count: int = option(4294967295, help="Events in one aggregated record, at most.")
    aggregation_max_size: int = option(
        51200, help="Bytes of one aggregated record, at most; larger is cheaper, smaller spreads better."
    )
    collection_max_count: int = option(500, help="Records in one PutRecords, at most 500.")
    collection_max_size: int = option(
        5242880,
        help="Bytes of one PutRecords, partition keys counted, at most 10485760; a larger record goes alone.",
    )
    record_ttl: int = option(
        0,
        help="Milliseconds after which an event that could not be written goes to the dead letters; "
        "0: never, it is tried for as long as it takes.",
    )
    max_pending_records: int = option(
        1000,
        help="Events on their way into the stream and not yet stored, at most, whatever the source; beyond it batches, and "
        "so the reading, wait (one batch always goes). Raise it (10000) for throughput.",
    )
    rate_limit: int = option(
        150,
        help="Per cent of a shard's limit (1,000 records, 1 MiB per second) that one process sends; more than "
        "100 lets several processes share unevenly, much more only makes Kinesis throttle. An on-demand stream tells "
        "its limit by its replies.",
    )
    fail_if_throttled: bool = option(
        False, help="Send throttled events to the dead letters at once instead of trying again."
    )
    keep_order: bool = option(
        True,
        help="Keep the order within a partition key even when Kinesis refuses single records: one record per "
        "request and shard (without aggregation: and key). false fills requests; moot with random keys.",
    )
    max_connections: int = option(24, help="Requests in flight at once, at most.")
    data_plane: str = option(
        "thin",
        help="Who makes the PutRecords calls: our own thin client or boto3's.",
        choices=("thin", "boto3"),
    )
    stop_timeout: float = option(
        30.0,
        help="Seconds that a clean stop goes on trying to write what was read; then it ends unacknowledged.",
    )
    metrics_level: str = option(
        "detailed",
        help="CloudWatch metrics: none; summary, without dimensions by shard; detailed. cloudwatch means detailed.",
        choices=("none", "summary", "detailed", "cloudwatch"),
    )
    metrics_granularity: str = option(
        "shard", help="Finest dimension of the metrics.", choices=("global", "stream", "shard")
    )
    metrics_namespace: str = option("KinesisProducerLibrary", help="CloudWatch namespace of the metrics.")
    metrics_upload_delay: int = option(60000, help="Milliseconds between uploads of the metrics.")
    metrics_access_key: str | None = option(
        None, help="Access key for CloudWatch, where it isn't the job's; needs --metrics_secret_key."
    )
    metrics_secret_key: str | None = option(
        None, help="Secret key for CloudWatch; needs --metrics_access_key.", secret=True
    )
    metrics_role_arn: str | None = option(None, help="Role to assume for CloudWatch.")

    def __post_init__(self) -> None:
        PartitionKeys(self.event_partition_keys, randomized=self.randomized_partition_key)
        StreamName(self.stream_name)
        self._check_range("aggregation_max_count", 1, 4294967295)
        self._check_range("aggregation_max_size", 64, MAX_RECORD - 1)
        self._check_range("collection_max_count", 1, _MAX_RECORDS)
        self._check_range("collection_max_size", 1024, _MAX_REQUEST)
        self._check_range("record_ttl", 0, None)
        self._check_range("max_pending_records", 1, None)
        self._check_range("rate_limit", 1, None)
        self._check_range("max_connections", 1, 1024)
        self._check_range("metrics_upload_delay", 1, None)
        if self.stop_timeout < 0:
            message = "--stop_timeout must not be negative (seconds)."
            raise OptionError(message)
        if bool(self.metrics_access_key) != bool(self.metrics_secret_key):
            message = "--metrics_access_key and --metrics_secret_key go together: give both or neither."
            raise OptionError(message)
        require_role("--metrics_role_arn", self.metrics_role_arn)
        if not 1 <= len(self.metrics_namespace) <= 255 or self.metrics_namespace.startswith("AWS/"):
            message = "--metrics_namespace must have 1 to 255 characters and must not start with AWS/."
            raise OptionError(message)

    def _check_range(self, name: str, low: int, high: int | None) -> None:
        value = getattr(self, name)
        if value < low or (high is not None and value > high):
            bounds = f"at least {low}" if high is None else f"from {low} to {high}"
            message = f"--{name} {value} must be {bounds}."
            raise OptionError(message)

    @property
    def ordered(self) -> bool:
        """Whether the order within a partition key is kept."""
        return self.keep_order and not self.randomized_partition_key

    def metrics_aws(self, aws: AwsOptions) -> AwsOptions:
        """Gives the identity for CloudWatch: the job's own, unless the options name another one."""
        changes: dict[str, str | None] = {}
        if self.metrics_access_key:
            changes = {
                "access_key": self.metrics_access_key,
                "secret_key": self.metrics_secret_key,
                "session_token": None,
                "profile": None,
                "role_arn": None,
            }
        if self.metrics_role_arn:
            changes["role_arn"] = self.metrics_role_arn
        return dataclasses.replace(aws, **changes) if changes else aws  # type: ignore[arg-type]
