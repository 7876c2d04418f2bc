"""`StreamTrials` looks at one stream, for the trials of the read and of the write: it is there, its shards can be listed."""

from collections.abc import Sequence

from penstock.io.aws.account_preflight import CREDENTIALS, AwsAccount
from penstock.io.aws.sense import NONSENSE
from penstock.io.errors import NotFound, PeerError
from penstock.io.kinesis.shard_map import Shard, list_shards
from penstock.io.kinesis.stream_facts import StreamFacts, facts_of
from penstock.io.kinesis.wire.calls import stream_argument, stream_arn, stream_in_words
from penstock.io.preflight.iam import Statement, narrowed
from penstock.io.preflight.trials import Finding, Trial, fine

__all__ = ["SHARDS", "STREAM", "StreamTrials"]

STREAM = "kinesis:DescribeStreamSummary"
SHARDS = "kinesis:ListShards"
_USABLE = ("ACTIVE", "UPDATING")


class StreamTrials:
    """Looks at one stream, and keeps what it saw for the trials that follow.

    Args:
        account: who we are.
        stream: its name or ARN.
        doing: `read` or `write to`.
        option: the option that names the stream.

    Attributes:
        what: the stream in words.
        resource: its ARN, as far as the name tells it, for messages.
        facts: the reply to DescribeStreamSummary; None before.
        shards: the shards that ListShards gave.
    """

    def __init__(self, account: AwsAccount, stream: str, doing: str, option: str) -> None:
        self.account = account
        self.stream = stream
        self.what = stream_in_words(stream)
        self.resource = stream_arn(stream, account.options.region)
        self.doing = f"{doing} {self.what}"
        self.shards: list[Shard] = []
        self._option = option
        self.facts: StreamFacts | None = None

    def key(self) -> str | None:
        """Gives the KMS key that encrypts the stream; None where none does."""
        return None if self.facts is None else self.facts.key_id

    def trials(self, statements: Sequence[Statement]) -> list[Trial]:
        """Gives the two trials, both quick."""
        return [
            Trial(STREAM, self._describe, True, False, narrowed(statements, STREAM), (CREDENTIALS,)),
            Trial(SHARDS, self._list, True, False, narrowed(statements, SHARDS), (STREAM,)),
        ]

    def _describe(self) -> Finding:
        account = self.account
        try:
            reply = account.call(
                "kinesis", "DescribeStreamSummary", self.resource, self.doing, **stream_argument(self.stream)
            )
        except NotFound as error:
            url = account.options.endpoint_url
            message = (
                f"cannot {self.doing}: there is no such stream in {account.options.region}"
                f"{f' at {url}' if url else ''}. Check {self._option} and --region, or create it."
            )
            raise NotFound(message) from error
        if "StreamDescriptionSummary" not in reply:
            where = account.options.endpoint_url or "the AWS endpoint"
            message = f"cannot {self.doing}: what answers at {where} is not Kinesis. Check --endpoint_url."
            raise PeerError(message)
        try:
            facts = self.facts = facts_of(
                reply["StreamDescriptionSummary"], self.stream, account.options.region
            )
        except NONSENSE as error:
            message = f"cannot {self.doing}: the reply to DescribeStreamSummary is not what the API promises."
            raise PeerError(message) from error
        if facts.status not in _USABLE:
            message = (
                f"cannot {self.doing}: it is {facts.status}, not ACTIVE. Wait until it is, and start again."
            )
            raise PeerError(message)
        return fine(f"{self.what} is {facts.in_words()}")

    def _list(self) -> Finding:
        self.shards = list_shards(self.account.session, self.stream)
        closed = sum(shard.closed for shard in self.shards)
        return fine(f"{len(self.shards) - closed} shards open" + (f", {closed} closed" if closed else ""))
