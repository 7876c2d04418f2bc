"""`Packer` makes Kinesis records of events; `PacketQueue` decides which of them may go next.

Invariants.
- Every event ends in exactly one packet, or is refused for its size.
- The user records of one packet go to one shard, by the map it was packed with.
- Packets of one lane keep the order of their events. The lane is the shard with aggregation, because packets of a shard
  may share keys. Without aggregation it is the partition key.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from penstock.io.kinesis.kpl._aggregation import AGGREGATED_KEY, aggregate_keyed, aggregate_run, hash_key_of
from penstock.io.kinesis.shard_map import ShardMap
from penstock.io.kinesis.wire.calls import PutEntry
from penstock.io.kinesis.write.options import MAX_RECORD
from penstock.io.kinesis.write.routing import DEFAULT_KEY, random_keys

__all__ = ["Packer", "Packet", "PacketQueue", "cut"]

_MAX_KEY_BYTES = 1024
"""A partition key has at most 256 characters of at most 4 bytes."""
_MAX_COMPANY = 500
"""The most records of one PutRecords."""
_MAX_HASHES = 100_000
_GAP = "key "  # no shard's id has a space


class Packet:
    """One Kinesis record on its way.

    Attributes:
        entry: the record for PutRecords.
        size: bytes that count against its limits.
        members: indices of the events in it.
        hash_key: the hash key that decides where it goes.
        spread: the lowest and highest hash key of its user records.
        shard_id: the shard it is predicted to go to; empty while the map has none for it.
        lane: packets of one lane keep their order; None where there is none to keep.
        attempts: how often it was sent.
        company: the most records, itself included, of a request that it is in.
    """

    __slots__ = ("attempts", "company", "entry", "hash_key", "lane", "members", "shard_id", "size", "spread")

    def __init__(
        self,
        entry: PutEntry,
        members: Sequence[int],
        hash_key: int,
        spread: tuple[int, int],
        shard_id: str,
        lane: str | None,
    ) -> None:
        self.entry = entry
        self.size = len(entry.data) + (
            len(entry.partition_key) if entry.partition_key.isascii() else len(entry.partition_key.encode())
        )
        self.members = members
        self.hash_key = hash_key
        self.spread = spread
        self.shard_id = shard_id
        self.lane = lane
        self.attempts = 0
        self.company = _MAX_COMPANY


class Packer:
    """Packs events by the options; keeps the hashes of recent keys. For one thread at a time.

    Args:
        max_count: user records of one aggregated record.
        max_size: bytes of one aggregated record.
        randomized: keys are random where none are given.
        ordered: whether packets get lanes.
    """

    def __init__(self, *, max_count: int, max_size: int, randomized: bool, ordered: bool) -> None:
        self._max_count = max_count
        self._max_size = max_size
        self._randomized = randomized
        self._ordered = ordered
        self._hashes: dict[str, int] = {}
        self._random = random_keys()

    def pack(
        self,
        indices: Sequence[int],
        datas: Sequence[bytes],
        keys: Sequence[str] | None,
        shards: ShardMap | None,
        *,
        aggregate: bool,
        max_record: int = MAX_RECORD,
    ) -> tuple[list[Packet], list[int]]:
        """Gives packets of these events, and the positions in `indices` of events too large for any record.

        Args:
            indices: the events' indices, for `Packet.members`.
            datas: the events' bytes.
            keys: the events' partition keys; None when all take `-`, or random ones.
            shards: the map to pack by; None where no map tells, so that there is neither a shard nor an order.
            aggregate: whether user records are packed together.
            max_record: bytes of one record, its partition key counted.
        """
        refused: list[int] = []
        if max(map(len, datas), default=0) > max_record - _MAX_KEY_BYTES:
            refused = [
                at
                for at, data in enumerate(datas)
                if len(data) + len(self._key(keys, at).encode()) > max_record
            ]
            if refused:
                fine = sorted(set(range(len(datas))).difference(refused))
                indices, datas = [indices[at] for at in fine], [datas[at] for at in fine]
                keys = None if keys is None else [keys[at] for at in fine]
        if not aggregate:
            return self._singly(indices, datas, keys, shards), refused
        if keys is None:
            source = self._random if self._randomized else _always(DEFAULT_KEY)
            return self._runs(indices, datas, source, shards), refused
        if len(set(keys)) == 1:
            return self._runs(indices, datas, _always(keys[0]), shards), refused
        return self._by_shard(indices, datas, keys, shards), refused

    def _key(self, keys: Sequence[str] | None, at: int) -> str:
        if keys is not None:
            return keys[at]
        return "0" * 32 if self._randomized else DEFAULT_KEY

    def _hash(self, key: str) -> int:
        found = self._hashes.get(key)
        if found is None:
            if len(self._hashes) >= _MAX_HASHES:
                self._hashes.clear()
            found = self._hashes[key] = hash_key_of(key)
        return found

    def _singly(
        self,
        indices: Sequence[int],
        datas: Sequence[bytes],
        keys: Sequence[str] | None,
        shards: ShardMap | None,
    ) -> list[Packet]:
        packets = []
        for at, (index, data) in enumerate(zip(indices, datas, strict=True)):
            if keys is not None:
                key = keys[at]
                hash_key = self._hash(key)
            elif self._randomized:
                key = next(self._random)
                hash_key = hash_key_of(key)
            else:
                key = DEFAULT_KEY
                hash_key = self._hash(key)
            packets.append(self._plain(index, data, key, hash_key, shards, key))
        return packets

    def _plain(
        self, index: int, data: bytes, key: str, hash_key: int, shards: ShardMap | None, lane: str
    ) -> Packet:
        shard = None if shards is None else shards.find(hash_key)
        return Packet(
            PutEntry(data, key),
            (index,),
            hash_key,
            (hash_key, hash_key),
            shard.shard_id if shard else "",
            lane if self._ordered and shards is not None else None,
        )

    def _runs(
        self, indices: Sequence[int], datas: Sequence[bytes], source: Iterator[str], shards: ShardMap | None
    ) -> list[Packet]:
        packets = []
        for start, stop, key, encoded in aggregate_run(source, datas, self._max_count, self._max_size):
            hash_key = hash_key_of(key)
            if encoded is None:
                packets.append(self._plain(indices[start], datas[start], key, hash_key, shards, key))
                continue
            shard = None if shards is None else shards.find(hash_key)
            packets.append(
                Packet(
                    PutEntry(encoded, AGGREGATED_KEY, str(hash_key)),
                    indices[start:stop],
                    hash_key,
                    (hash_key, hash_key),
                    shard.shard_id if shard else "",
                    key if self._ordered and shards is not None else None,
                )
            )
        return packets

    def _by_shard(
        self, indices: Sequence[int], datas: Sequence[bytes], keys: Sequence[str], shards: ShardMap | None
    ) -> list[Packet]:
        numbers: dict[str, int] = {}
        # A dictionary that numbers its keys as they come is the cheapest pass over the events.
        key_of = [numbers.setdefault(key, len(numbers)) for key in keys]
        distinct = list(numbers)
        hashes = list(map(self._hash, distinct))
        names: dict[str, int] = {}
        groups = []
        for key, hash_key in zip(distinct, hashes, strict=True):
            if shards is None:
                groups.append(names.setdefault(_GAP, 0))
                continue
            shard = shards.find(hash_key)
            # Where the map has a gap nobody knows the shard, so each key gets packets of its own.
            groups.append(names.setdefault(shard.shard_id if shard else f"{_GAP}{key}", len(names)))
        lanes = list(names)
        packets: list[Packet] = []
        for group, members, used, encoded in aggregate_keyed(
            datas, key_of, distinct, groups, self._max_count, self._max_size
        ):
            first = used[0]
            if encoded is None:
                entry = PutEntry(datas[members[0]], distinct[first])
            else:
                entry = PutEntry(encoded, AGGREGATED_KEY, str(hashes[first]))
            found = [hashes[key] for key in used]
            lane = lanes[group]
            packets.append(
                Packet(
                    entry,
                    [indices[place] for place in members],
                    hashes[first],
                    (min(found), max(found)),
                    "" if lane.startswith(_GAP) else lane,
                    lane if self._ordered and shards is not None else None,
                )
            )
        return packets


class PacketQueue:
    """Keeps the packets of one batch that are not in the stream yet. For one thread.

    A packet is ready, or waits for a time, or stands behind another one of its lane. A packet that is taken is not in the
    queue until `wait` brings it back, or `done` lets the next one of its lane go.
    """

    def __init__(self) -> None:
        self._ready: list[Packet] = []
        self._waiting: list[tuple[float, Packet]] = []
        self._lanes: dict[str, deque[Packet]] = {}

    def __bool__(self) -> bool:
        return bool(self._ready or self._waiting)

    def add(self, packets: Iterable[Packet]) -> None:
        """Puts new packets in line."""
        for packet in packets:
            if packet.lane is None:
                self._ready.append(packet)
                continue
            lane = self._lanes.get(packet.lane)
            if lane is None:
                self._lanes[packet.lane] = deque()
                self._ready.append(packet)
            else:
                lane.append(packet)

    def take(self, now: float) -> list[Packet]:
        """Takes the packets that are ready or have waited long enough."""
        taken = self._ready + [packet for at, packet in self._waiting if at <= now]
        self._ready, self._waiting = [], [(at, packet) for at, packet in self._waiting if at > now]
        return taken

    def wait(self, packets: Iterable[Packet], until: float) -> None:
        """Brings back packets that were taken. They are ready again at that time."""
        self._waiting += [(until, packet) for packet in packets]

    def done(self, packet: Packet) -> None:
        """Lets the next packet of this one's lane go."""
        if packet.lane is not None:
            lane = self._lanes.get(packet.lane)
            if lane:
                self._ready.append(lane.popleft())
            else:
                self._lanes.pop(packet.lane, None)

    def replace(self, packet: Packet, packets: list[Packet]) -> None:
        """Puts packets in the place of one that was taken. They are next in its lane."""
        if packet.lane is None:
            self._ready += packets
            return
        for each in packets:
            each.lane = packet.lane
        self._lanes[packet.lane].extendleft(reversed(packets))
        self.done(packet)

    @property
    def next_at(self) -> float:
        """The time when the first waiting packet is ready."""
        return min(at for at, _ in self._waiting)

    def unsent(self) -> list[Packet]:
        """Gives all packets that are not taken."""
        behind = [packet for lane in self._lanes.values() for packet in lane]
        return [*self._ready, *(packet for _, packet in self._waiting), *behind]

    def clear(self) -> None:
        """Forgets everything, lanes of taken packets too."""
        self._ready, self._waiting, self._lanes = [], [], {}


def _always(key: str) -> Iterator[str]:
    while True:
        yield key


def cut(packets: Sequence[Packet], max_count: int, max_size: int) -> list[list[Packet]]:
    """Cuts packets into requests of at most that many records and bytes (partition keys counted), in order."""
    requests: list[list[Packet]] = []
    count = limit = size_left = 0
    for packet in packets:
        limit = min(limit, packet.company)
        if count >= limit or packet.size > size_left:
            requests.append([])
            count, limit, size_left = 0, min(max_count, packet.company), max_size
        requests[-1].append(packet)
        count += 1
        size_left -= packet.size
    return requests
