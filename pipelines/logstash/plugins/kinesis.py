"""`kinesis` declares the input and the output `kinesis`, and makes the options of our read and write of them."""

from typing import Any

from penstock.io.aws.session import AwsOptions
from penstock.io.kinesis import KinesisReadOptions, KinesisWriteOptions
from penstock.pipelines.logstash.plugins.amazon import aws_options, camel_case
from penstock.pipelines.logstash.plugins.codecs import decode_options
from penstock.pipelines.logstash.plugins.declaration import (
    Made,
    PluginDeclaration,
    ignored,
    mapped,
    refused,
)
from penstock.pipelines.logstash.plugins.steps import ornaments
from penstock.pipelines.logstash.plugins.values import Values

__all__ = ["KINESIS_INPUT", "KINESIS_OUTPUT"]

_KNOWN_SETTINGS = (
    "maxRecords",
    "idleTimeBetweenReadsInMillis",
    "failoverTimeMillis",
    "shardSyncIntervalMillis",
)
_HARMLESS_SETTINGS = frozenset(
    {
        *("callProcessRecordsEvenForEmptyRecordList", "cleanupLeasesUponShardCompletion", "billingMode"),
        *("initialLeaseTableReadCapacity", "initialLeaseTableWriteCapacity", "maxLeaseRenewalThreads"),
        *("maxLeasesToStealAtOneTime", "metricsBufferTimeMillis", "metricsMaxQueueSize", "parentShardPollIntervalMillis"),
        *("shutdownGraceMillis", "skipShardSyncAtWorkerInitializationIfLeasesExist", "taskBackoffTimeMillis"),
        *("timeoutInSeconds", "userAgent", "validateSequenceNumberBeforeCheckpointing", "logWarningForTaskAfterMillis"),
        *("maxGetRecordsThreadPool", "retryGetRecordsInSeconds", "maxLeasesForWorker", "leaseCleanupIntervalMillis"),
    }
)  # fmt: skip
"""Settings of KCL that tune what is otherwise here; without them nothing is lost."""
_PROPERTIES = tuple(
    f"[@metadata][{name}]" for name in ("approximate_arrival_timestamp", "partition_key", "sequence_number")
)
_PROXY = "the standard variables do it: HTTPS_PROXY, NO_PROXY"


def _input(values: Values) -> Made:
    more: dict[str, Any] = {"additional_settings": _settings(values)}
    decode = decode_options(values, by_lines=False)
    if not values.given("application_name"):
        values.note(
            "application_name is logstash, as there: the lease table of that name. Where another stream owns the table the "
            "start is refused; then give one"
        )
    if values["metrics"] is None:
        more["metrics"] = "nil"
    use = values.codec
    original = values.situation.ecs and use is not None and use.name in ("plain", "line", "json")
    return Made(
        options=values.component(KinesisReadOptions, **more),
        aws=values.component(AwsOptions),
        decode=decode,
        after=tuple(ornaments(values, original=original)),
        properties=values.situation.names(*_PROPERTIES, "metadata => true"),
    )


def _settings(values: Values) -> list[str]:
    """Gives KCL's settings as ours, from snake case or camel case."""
    found = []
    for name, value in (values["additional_settings"] or {}).items():
        ours = camel_case(str(name))
        if ours in _KNOWN_SETTINGS:
            found.append(f"{ours}={value}")
        elif ours in ("kinesisEndpoint", "dynamoDBEndpoint", "kinesis_endpoint", "dynamodbEndpoint"):
            service = "KINESIS" if "kinesis" in ours else "DYNAMODB"
            values.problem(
                "additional_settings",
                f"additional_settings: give {name} as AWS_ENDPOINT_URL_{service} in the environment",
            )
        elif ours in _HARMLESS_SETTINGS:
            values.note(
                f"additional_settings: {name} is ignored: what it tunes is otherwise here",
                "additional_settings",
            )
        else:
            values.problem(
                "additional_settings",
                f"additional_settings: {name} has no effect here; there are max_records, idle_time_between_reads_in_millis, "
                "failover_time_millis and shard_sync_interval_millis",
            )
    return found


KINESIS_INPUT = PluginDeclaration(
    section="input",
    name="kinesis",
    options=(
        mapped("kinesis_stream_name", required=True, note="also an ARN"),
        mapped("application_name", default="logstash", note="names the lease table; refused where another stream owns it"),
        mapped("checkpoint_interval_seconds", "number", default=60, note="a checkpoint never passes what is not delivered"),
        mapped("initial_position_in_stream", "choice", default="TRIM_HORIZON",
               choices=("TRIM_HORIZON", "LATEST", "AT_TIMESTAMP")),
        mapped("initial_position_timestamp", note="for AT_TIMESTAMP"),
        mapped("metrics", "choice", choices=("nil", "cloudwatch")),
        mapped("additional_settings", "hash", to="",
               note="in snake case or camel case; those with an effect here: max_records, "
               "idle_time_between_reads_in_millis, failover_time_millis, shard_sync_interval_millis"),
        *aws_options(role_session_name="logstash"),
        *ignored(_PROXY, "http_proxy", "non_proxy_hosts", "proxy_uri"),
        *ignored("compressed records are known by their content", "compression"),
        *refused("shards are polled here; leave it out", "use_enhanced_fan_out"),
    ),
    make=_input,
    codecs=("plain", "json", "json_lines", "line", "cloudwatch_logs", "cloudtrail", "cloudfront", "csv"),
    about="A stream's records, by the lease table of the Kinesis Client Library. Where the file names one of them, "
    "`[@metadata]` has approximate_arrival_timestamp, sequence_number and partition_key (the record's: all events that are "
    "aggregated in it have it).",
)  # fmt: skip


def _output(values: Values) -> Made:
    if values.given("kinesis_endpoint") or values.given("kinesis_port"):
        values.problem(
            "kinesis_endpoint", "kinesis_endpoint: give AWS_ENDPOINT_URL_KINESIS in the environment"
        )
    if not values.given("record_ttl"):
        values.ours("record_ttl", "0 (tried for as long as it takes; Logstash drops after 30 s)")
    prefix = {"partition_key_prefix": "-"} if values["event_partition_keys"] else {}
    reads = {
        name: int(values[name])
        for name in ("max_pending_records", "record_max_buffered_time")
        if values.given(name) and values[name] is not None
    }
    return Made(
        options=values.component(KinesisWriteOptions, **prefix),
        aws=values.component(AwsOptions),
        for_reads=reads,
    )


KINESIS_OUTPUT = PluginDeclaration(
    section="output",
    name="kinesis",
    options=(
        mapped("stream_name", required=True, note="may hold `%{field}`"),
        mapped("event_partition_keys", "strings",
               note="the key is `-` and the value of the first field that is there, as in Logstash; `-` alone without"),
        mapped("randomized_partition_key", "boolean", default=False, note="one key for each aggregated record"),
        mapped("aggregation_enabled", "boolean"),
        mapped("aggregation_max_count", "number", default=4294967295),
        mapped("aggregation_max_size", "number", default=51200),
        mapped("collection_max_count", "number", default=500),
        mapped("collection_max_size", "number", default=5242880),
        mapped("record_max_buffered_time", "number", to="", default=100,
               note="the wait for a fuller batch, where the input is beats"),
        mapped("record_ttl", "number", note="no limit unless given; what expires goes to the dead letters"),
        mapped("max_pending_records", "number", default=1000),
        mapped("rate_limit", "number", default=150),
        mapped("fail_if_throttled", "boolean", default=False),
        mapped("connect_timeout", "number", default=6000),
        mapped("request_timeout", "number", default=6000),
        mapped("max_connections", "number", default=24),
        mapped("metrics_level", "choice", default="detailed", choices=("none", "summary", "detailed", "cloudwatch")),
        mapped("metrics_granularity", "choice", default="shard", choices=("global", "stream", "shard")),
        mapped("metrics_namespace", default="KinesisProducerLibrary"),
        mapped("metrics_upload_delay", "number", default=60000),
        mapped("metrics_access_key"),
        mapped("metrics_secret_key", "password"),
        mapped("metrics_role_arn"),
        mapped("verify_certificate", "boolean", default=True),
        *aws_options(keys="secret_key"),
        mapped("kinesis_endpoint", to="", note="refused: give `AWS_ENDPOINT_URL_KINESIS`"),
        mapped("kinesis_port", "number", to="", note="refused: give `AWS_ENDPOINT_URL_KINESIS`"),
        *ignored("connections open when they are needed, and stay open", "min_connections"),
        *ignored("it tuned the native process, which is not here", "log_level", "native_executable", "temp_directory",
                 "enable_core_dumps", "thread_pool_size", "threading_model", "ca_cert_path"),
        *ignored(_PROXY, "sts_proxy_host", "sts_proxy_port", "proxy_host", "proxy_port"),
        *ignored("AWS_ENDPOINT_URL_CLOUDWATCH names another address", "cloudwatch_endpoint", "cloudwatch_port"),
    ),
    make=_output,
    codecs=("json", "json_lines", "plain"),
    about="A stream, aggregated as the Kinesis Producer Library does.",
)  # fmt: skip
