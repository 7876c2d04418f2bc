"""`StreamView` keeps what the service says of a stream: which stream it is, and which shards it has.

The coordinator asks it at every round of shards; the threads that read ask it when a shard seems to have ended, or to
be gone. ListShards may lag behind: the children that a GetRecords reply names (`ChildShards`) count as listed until
they are.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable

from penstock.io.errors import PenstockError, StateError
from penstock.io.kinesis.lease.rules._ownership import passed_retention
from penstock.io.kinesis.positions import StreamIdentity, stream_name_of
from penstock.io.kinesis.shard_map import Shard
from penstock.io.kinesis.stream_facts import StreamFacts
from penstock.io.kinesis.wire.calls import ChildShard

__all__ = ["StreamView"]

_LOGGER = logging.getLogger(__name__)

_DESCRIBED_S = 60.0
"""Seconds within which a change of the stream's strategy is noticed."""
_FRESH_S = 1.0
"""Seconds for which one listing answers every question. So 1,000 shards that end at once cost one call."""


class StreamView:
    """One stream, as it was last seen. Safe from any thread.

    Args:
        list_shards: lists the stream's shards, all of them.
        describe: asks for the stream's facts.
        clock: seconds that only go forward.

    Attributes:
        facts: the last facts; None before the first call.
        shards: the last listing by id, and children that are known but not listed yet.
    """

    def __init__(
        self,
        list_shards: Callable[[], list[Shard]],
        describe: Callable[[], StreamFacts],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.facts: StreamFacts | None = None
        self.shards: dict[str, Shard] = {}
        self._list_shards = list_shards
        self._describe = describe
        self._clock = clock
        self._lock = threading.Lock()
        self._described_at = -_DESCRIBED_S
        self._heirs: dict[str, Shard] = {}
        self._listed_at: float | None = None

    @property
    def identity(self) -> StreamIdentity:
        """The stream's identity, as first seen."""
        if self.facts is None:
            self.describe()
        assert self.facts is not None  # noqa: S101
        return self.facts.identity

    def describe(self, *, max_age_s: float = 0.0) -> None:
        """Asks for the facts again, unless the last ones are younger than `max_age_s` seconds.

        The service takes 20 such calls per second and account, so one round of many does.

        Raises:
            StateError: the stream was deleted and made anew since the first time.
            PenstockError: the call failed.
        """
        if self.facts is not None and self._clock() - self._described_at < max_age_s:
            return
        facts = self._describe()
        self._described_at = self._clock()
        if self.facts is not None and facts.identity != self.facts.identity:
            message = (
                f"stream {stream_name_of(facts.identity.arn)} was deleted and made anew while it was read: the checkpoints "
                "are of the earlier one. Start once with --reset_checkpoints, or with another --application_name."
            )
            raise StateError(message)
        self.facts = facts

    def manages_keys(self) -> bool:
        """Whether the service puts records into any shard. It asks again where that may have changed."""
        try:
            self.describe(max_age_s=_DESCRIBED_S)
        except PenstockError as error:  # the next round of shards meets the same fault, and logs it
            _LOGGER.info("%s", error)
        return self.facts is not None and self.facts.keys_by_service

    def list_now(self, *, max_age_s: float = 0.0) -> None:
        """Lists the shards again, unless the last listing is younger than `max_age_s` seconds."""
        with self._lock:
            now = self._clock()
            if self._listed_at is not None and now - self._listed_at < max_age_s:
                return
            listed = {shard.shard_id: shard for shard in self._list_shards()}
            self._listed_at = now
            for shard_id in self._heirs.keys() & listed.keys():
                del self._heirs[shard_id]
            self.shards = self._heirs | listed

    def add_children(self, parent: str, children: Iterable[ChildShard]) -> None:
        """Notes the children that a reply names, which may not be listed yet."""
        with self._lock:
            for child in children:
                if child.shard_id in self.shards:
                    continue
                parents = (parent, *(each for each in child.parent_shards if each != parent))
                start, end = (
                    int(child.hash_key_range.starting_hash_key),
                    int(child.hash_key_range.ending_hash_key),
                )
                self._heirs[child.shard_id] = Shard(child.shard_id, parents, start, end, "0", None)
            self.shards = self.shards | self._heirs

    def proves_end(self, shard_id: str) -> bool:
        """Whether the stream lists the shard as closed. A temporary fault proves nothing."""
        for max_age_s in (float("inf"), _FRESH_S):
            try:
                self.list_now(max_age_s=max_age_s)
            except PenstockError as error:
                _LOGGER.info("shard %s: %s", shard_id, error)
                return False
            shard = self.shards.get(shard_id)
            if shard is not None and shard.closed:
                return True
        return False

    def has_passed_retention(self, shard_id: str) -> bool:
        """Whether the service has forgotten the shard, which it says it doesn't know. False: the shard is listed.

        Raises:
            StateError: the stream was made anew, or never had such a shard.
            PenstockError: a call failed.
        """
        self.describe(max_age_s=_FRESH_S)
        self.list_now(max_age_s=_FRESH_S)
        if shard_id in self.shards:
            return False
        if passed_retention(shard_id, self.shards):
            return True
        message = (
            f"cannot read shard {shard_id}: stream {stream_name_of(self.identity.arn)} has no such shard and never had. "
            "Its lease is another stream's: give this job a name of its own with --application_name."
        )
        raise StateError(message)

    def children_of(self, shard_id: str) -> list[Shard]:
        """Gives the known shards that go on where a closed one ended."""
        return [shard for shard in self.shards.values() if shard_id in shard.parents]

    def is_continued(self, shard_id: str) -> bool:
        """Whether the known children take all hash keys of a shard, so that none of them is missing.

        A shard that is not listed any more lacks no child: its children are old enough to be listed.
        """
        shard = self.shards.get(shard_id)
        if shard is None:
            return True
        at = shard.start
        for child in sorted(self.children_of(shard_id), key=lambda child: child.start):
            if child.start > at:
                return False
            at = max(at, child.end + 1)
        return at > shard.end
