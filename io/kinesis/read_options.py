"""`KinesisReadOptions` holds the options of the Kinesis read, under the names that Logstash's input plugin gave them."""

import dataclasses
import datetime
import re
import time

from penstock.io.errors import OptionError
from penstock.io.kinesis.positions import AT_TIMESTAMP, Position, stream_name_of
from penstock.io.options import option

__all__ = ["KinesisReadOptions", "ReadSettings"]

_STREAM = re.compile(r"(arn:aws[\w-]*:kinesis:[\w-]+:\d{12}:stream/)?[A-Za-z0-9_.-]{1,128}")
_TABLE = re.compile(r"[A-Za-z0-9_.-]{3,255}")
_CLOCKS_DIFFER_S = 60.0


@dataclasses.dataclass(frozen=True)
class ReadSettings:
    """The settings of KCL that have an effect here; each can be given in `--additional_settings`.

    Attributes:
        maxRecords: records asked for in one GetRecords, 1 to 10,000.
        idleTimeBetweenReadsInMillis: pause after a reply that shows the shard's end. The service allows five
            reads per second and shard, for all consumers together; 250 leaves one of them to others.
        failoverTimeMillis: a lease that is not renewed for this long is taken over. Longer: others take over later when a
            whole host crashes. Shorter: a pause of the process costs it its leases, and the table gets more writes.
        shardSyncIntervalMillis: how often new shards are looked for. The children of a shard that ends are read at once.
    """

    maxRecords: int = 10_000  # noqa: N815  KCL's name
    idleTimeBetweenReadsInMillis: int = 250  # noqa: N815
    failoverTimeMillis: int = 10_000  # noqa: N815
    shardSyncIntervalMillis: int = 60_000  # noqa: N815

    _BOUNDS = {  # noqa: RUF012  not a field: it has no annotation
        "maxRecords": (1, 10_000),
        "idleTimeBetweenReadsInMillis": (0, 3_600_000),
        "failoverTimeMillis": (1_000, 3_600_000),
        "shardSyncIntervalMillis": (500, 86_400_000),
    }

    @classmethod
    def parse(cls, pairs: list[str]) -> "ReadSettings":
        """Reads `name=value` pairs. Raises `OptionError`, which names the wrong pair."""
        given: dict[str, int] = {}
        for pair in pairs:
            name, _, text = pair.partition("=")
            name = name.strip()
            bounds = cls._BOUNDS.get(name)
            if bounds is None:
                message = f"--additional_settings {name!r} is not known; there are {', '.join(cls._BOUNDS)}."
                raise OptionError(message)
            text = text.strip()
            if not text.isascii() or not text.isdigit() or not bounds[0] <= int(text) <= bounds[1]:
                message = f"--additional_settings {name}={text[:40]!r}: not a whole number from {bounds[0]} to {bounds[1]}."
                raise OptionError(message)
            given[name] = int(text)
        return cls(**given)


@dataclasses.dataclass(frozen=True)
class KinesisReadOptions:
    """Which stream is read, from where, how fast, and where its checkpoints are."""

    kinesis_stream_name: str = option(help="Stream to read: its name or ARN.")
    application_name: str = option(
        "",
        help="Name of the application and of its lease table in DynamoDB (KCL's format); required with a lease table or "
        "metrics. Jobs with the same name share the shards of one stream.",
    )
    checkpoint_interval_seconds: int = option(
        60,
        help="Seconds between checkpoints of a shard. Longer: fewer writes to DynamoDB; shorter: less is read "
        "again after a crash.",
    )
    initial_position_in_stream: str = option(
        "TRIM_HORIZON",
        choices=("TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"),
        help="Where a shard without a checkpoint starts: its oldest record, its newest, or "
        "--initial_position_timestamp.",
    )
    initial_position_timestamp: str | None = option(
        None,
        help="Time from which AT_TIMESTAMP reads: ISO 8601 (UTC unless it has an offset) or seconds since 1970.",
    )
    checkpoints: str = option(
        "dynamodb",
        choices=("dynamodb", "none"),
        help="Where checkpoints are kept. none: no DynamoDB; only the runner's own state knows the positions, "
        "and this job must be the only reader of its application.",
    )
    reset_checkpoints: bool = option(
        False,
        help="Forget the application's checkpoints when the job starts, and read from the initial position.",
    )
    out_of_range: str = option(
        "keep",
        choices=("keep", "drop"),
        help="User records whose hash key is outside their shard: keep (KPL sends them again after a reshard, "
        "which the document id absorbs; other producers never do) or drop, which is KCL's rule.",
    )
    metrics: str = option(
        "nil",
        choices=("nil", "cloudwatch"),
        help="cloudwatch: KCL's metrics, in the application's namespace.",
    )
    additional_settings: list[str] = option(
        [],
        help="KCL's settings as name=value: maxRecords (10000), idleTimeBetweenReadsInMillis (250), "
        "failoverTimeMillis (10000), shardSyncIntervalMillis (60000).",
    )
    shard_reads_per_second: float = option(
        5.0,
        help="Most reads of one shard per second; the service's limit is 5 for all consumers. 0: no limit.",
    )
    shard_bytes_per_second: int = option(
        2 << 20, help="Most bytes read of one shard per second; the service's limit is 2 MiB. 0: no limit."
    )
    fetch_threads: int = option(
        8,
        help="Threads that read shards. More of them read more busy shards at once; each may hold a reply of 10 MiB.",
    )
    read_splits: int = option(
        0,
        help="Splits that the runner deals out, each a worker with shards of its own. 0: as many as the runner's "
        "--parallelism. More of them leave room for a later resumption with a higher parallelism, since a savepoint keeps "
        "their number. More than 1 needs --checkpoints=dynamodb; the DirectRunner has one.",
    )
    max_pending_events: int = option(
        50_000, help="Most events read and not yet acknowledged. At this bound reading waits."
    )
    max_pending_bytes: int = option(
        64 << 20,
        help="Most bytes of memory for events read and not yet acknowledged. At this bound reading waits.",
    )
    max_batch_events: int = option(
        4000,
        help="Events in one batch. More: fewer, larger writes downstream; fewer: less latency under load. The "
        "default fills the bulks that Elasticsearch is sent at once.",
    )

    def __post_init__(self) -> None:
        if not _STREAM.fullmatch(self.kinesis_stream_name):
            message = (
                f"--kinesis_stream_name {self.kinesis_stream_name[:200]!r} is neither a stream's name "
                "(1 to 128 of a-z, A-Z, 0-9, _ . -) nor its ARN."
            )
            raise OptionError(message)
        needed = "the lease table" if self.checkpoints == "dynamodb" else "the metrics"
        if not self.application_name and (self.checkpoints == "dynamodb" or self.metrics == "cloudwatch"):
            message = (
                f"--application_name is required: it names {needed}, and each stream needs a name of its own. A job that "
                "relied on the default of earlier versions goes on with --application_name logstash."
            )
            raise OptionError(message)
        if self.checkpoints == "dynamodb" and not _TABLE.fullmatch(self.application_name):
            message = (
                f"--application_name {self.application_name[:300]!r} can't name a DynamoDB table: "
                "3 to 255 of a-z, A-Z, 0-9, _ . -"
            )
            raise OptionError(message)
        for name in ("initial_position_in_stream", "checkpoints", "out_of_range", "metrics"):
            choices = type(self).__dataclass_fields__[name].metadata["choices"]
            if getattr(self, name) not in choices:
                message = f"--{name} {getattr(self, name)!r} is not one of {', '.join(choices)}."
                raise OptionError(message)
        for name, lowest in (
            ("checkpoint_interval_seconds", 1),
            ("fetch_threads", 1),
            ("read_splits", 0),
            ("max_pending_events", 1),
            ("max_pending_bytes", 1),
            ("max_batch_events", 1),
            ("shard_reads_per_second", 0),
            ("shard_bytes_per_second", 0),
        ):
            if getattr(self, name) < lowest:
                message = f"--{name} {getattr(self, name)} is below {lowest}."
                raise OptionError(message)
        if (self.initial_position_in_stream == "AT_TIMESTAMP") != (
            self.initial_position_timestamp is not None
        ):
            message = (
                "--initial_position_in_stream=AT_TIMESTAMP and --initial_position_timestamp go together."
            )
            raise OptionError(message)
        if self.read_splits > 1 and self.checkpoints == "none":
            message = (
                "--read_splits above 1 needs --checkpoints=dynamodb: splits share the shards by their leases."
            )
            raise OptionError(message)
        _ = self.settings
        since = self.initial_timestamp
        if since is not None and since > time.time() + _CLOCKS_DIFFER_S:
            message = (
                f"--initial_position_timestamp {self.initial_position_timestamp} is in the future, which Kinesis refuses. "
                "Give a time that has passed (numbers are seconds, not milliseconds), or LATEST."
            )
            raise OptionError(message)

    @property
    def settings(self) -> ReadSettings:
        """`additional_settings`, parsed."""
        return ReadSettings.parse(self.additional_settings)

    @property
    def stream_name(self) -> str:
        """The stream's name, without the rest of its ARN."""
        return stream_name_of(self.kinesis_stream_name)

    @property
    def initial_position(self) -> Position:
        """Where a shard without a checkpoint starts."""
        return Position.parse(self.initial_position_in_stream)

    @property
    def initial_timestamp(self) -> float | None:
        """`initial_position_timestamp` in seconds since 1970; None unless AT_TIMESTAMP."""
        text = self.initial_position_timestamp
        if text is None or self.initial_position != AT_TIMESTAMP:
            return None
        try:
            if re.fullmatch(r"\d+(\.\d+)?", text):
                return float(text)
            moment = datetime.datetime.fromisoformat(text)
        except ValueError as error:
            message = (
                f"--initial_position_timestamp {text[:80]!r} is neither ISO 8601 (2026-11-22T06:00:00Z) "
                "nor seconds since 1970."
            )
            raise OptionError(message) from error
        return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()
