"""`StreamView` keeps what the service says of a stream: which stream it is, and which shards it has.

The coordinator asks it at every round of shards; the threads that read ask it when a shard seems to have ended, or to
be gone. ListShards may lag behind: the children that a GetRecords reply names (`ChildShards`) count as listed until
they are.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from penstock.io.backoff import delays
from penstock.io.errors import PenstockError, StateError, without_traceback
from penstock.io.kinesis.lease.rules._ownership import newest_number, passed_retention
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
_PAUSES_S = (1.0, 5.0)
"""The first bound and the last of the pauses after a call that failed. Until they are over, whoever asks gets its error."""

_Answer = TypeVar("_Answer")


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
        self._children: dict[str, list[Shard]] = {}
        self._newest: tuple[dict[str, Shard], int] = (self.shards, -1)
        self._listed_at: float | None = None
        self._listing = _Asked(clock)
        self._describing = _Asked(clock)

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
            StateError: the stream was deleted and made again since the first time.
            PenstockError: the call failed.
        """
        if self.facts is not None and self._clock() - self._described_at < max_age_s:
            return
        facts = self._describing.ask(self._describe, at_once=not max_age_s)
        self._described_at = self._clock()
        if self.facts is not None and facts.identity != self.facts.identity:
            message = (
                f"stream {stream_name_of(facts.identity.arn)} was deleted and made again while it was read: the checkpoints "
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
            found = self._listing.ask(self._list_shards, at_once=not max_age_s)
            listed = {shard.shard_id: shard for shard in found}
            self._listed_at = now
            for shard_id in self._heirs.keys() & listed.keys():
                del self._heirs[shard_id]
            self._know(self._heirs | listed)

    def add_children(self, parent: str, children: Iterable[ChildShard]) -> None:
        """Notes the children that a reply names, which may not be listed yet."""
        with self._lock:
            new: dict[str, Shard] = {}
            for child in children:
                if child.shard_id in self.shards:
                    continue
                parents = (parent, *(each for each in child.parent_shards if each != parent))
                start, end = (
                    int(child.hash_key_range.starting_hash_key),
                    int(child.hash_key_range.ending_hash_key),
                )
                new[child.shard_id] = Shard(child.shard_id, parents, start, end, "0", None)
            if not new:
                return
            self._heirs |= new
            self.shards = self.shards | new
            _file(new.values(), self._children)  # not all anew: every shard of a stream may end at once

    def _know(self, shards: dict[str, Shard]) -> None:
        children: dict[str, list[Shard]] = {}
        _file(shards.values(), children)
        self.shards, self._children = shards, children

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
            StateError: the stream was made again, or never had such a shard.
            PenstockError: a call failed.
        """
        self.describe(max_age_s=_FRESH_S)
        self.list_now(max_age_s=_FRESH_S)
        if shard_id in self.shards:
            return False
        listed, newest = self._newest
        if listed is not self.shards:
            listed = self.shards
            newest = newest_number(listed)
            self._newest = listed, newest
        if passed_retention(shard_id, newest):
            return True
        message = (
            f"cannot read shard {shard_id}: stream {stream_name_of(self.identity.arn)} has no such shard and never had. "
            "Its lease is another stream's: give this job a name of its own with --application_name."
        )
        raise StateError(message)

    def children_of(self, shard_id: str) -> list[Shard]:
        """Gives the known shards that go on where a closed one ended."""
        return list(self._children.get(shard_id, ()))

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


def _file(shards: Iterable[Shard], children: dict[str, list[Shard]]) -> None:
    """Notes shards as the children of their parents."""
    for shard in shards:
        for parent in shard.parents:
            children.setdefault(parent, []).append(shard)


class _Asked:
    """A call that many threads want made: while it fails, it is made once per pause, for all of them."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failed: tuple[float, PenstockError] | None = None
        self._pauses: Iterator[float] | None = None

    def ask(self, call: Callable[[], _Answer], *, at_once: bool) -> _Answer:
        """Makes the call; raises the last one's error until its pause is over, unless who asks has a pause of its own."""
        failed = self._failed
        if failed is not None and not at_once and self._clock() < failed[0]:
            raise without_traceback(failed[1])
        try:
            answer = call()
        except PenstockError as error:
            self._pauses = self._pauses or delays(*_PAUSES_S)
            self._failed = self._clock() + next(self._pauses), without_traceback(error)
            raise
        self._failed = self._pauses = None
        return answer
