"""`ShardView` is the shard map of one delivery: it predicts shards, and judges where records landed.

Problem. A KCL consumer drops an aggregated record when the hash of one of its user records lies outside the range of the
shard that it was read from. A map that was right when the records were packed may be wrong when they land: shards are
split and merged, and a stream may be deleted and made again under its name, with other ranges under the same shard ids.

Plan. A reply names the shard and the sequence number of each record. Where the shard is not the one that was predicted,
or the number is not one of the shard that the map knows, the map is read again before anything is accepted. Then a
record is accepted when the shard's range holds all its user records.

Sequence numbers tell the shard's incarnation in their first 38 bits (the time at which the shard was made). The service
doesn't promise that, so it is only a reason to read the map. Where it never fits, it is not looked at again.
`TargetStream.map_to_begin_with` covers the cases without such a hint.

Source: https://docs.aws.amazon.com/streams/latest/dev/kinesis-kpl-consumer-deaggregation.html; KCL's
SequenceNumberValidator (186 bits); kinesalite's db/index.js.
"""

from collections.abc import Callable

from penstock.io.backoff import delays
from penstock.io.kinesis.shard_map import Shard, ShardMap
from penstock.io.kinesis.wire.calls import PutResult
from penstock.io.kinesis.write._packing import Packet
from penstock.io.kinesis.write.stream import TargetStream

__all__ = ["ShardView"]

_WAITS_S = (0.1, 1.6)
_TRIES = 5
_NUMBER_BITS = 186
_BITS_BEHIND_TIME = 148

_Odd = tuple[Packet, PutResult]
_Patiently = Callable[[Callable[[], ShardMap]], ShardMap]


class ShardView:
    """The shard map that one delivery uses. For one thread.

    It keeps nothing of its delivery: a circle of the two would hold the batch's bytes until the garbage collector runs.

    Args:
        stream: the stream.
        found: the map to begin with.
    """

    def __init__(self, stream: TargetStream, found: ShardMap) -> None:
        self._stream = stream
        self.map = found

    def take_newest(self) -> None:
        """Takes the map that others have read meanwhile."""
        self.map = self._stream.shards.current()

    def lost(self, packets: list[Packet], results: list[PutResult], patiently: _Patiently) -> list[Packet]:
        """Gives the taken records that a consumer would drop. Reads the map again where it must.

        Args:
            packets: the records that Kinesis took.
            results: what it said of each.
            patiently: calls a function that reads the map, until it succeeds.
        """
        if self._stream.facts.keys_by_service:
            return []
        before = self.map
        landed = zip(packets, results, strict=True)
        odd = [(packet, result) for packet, result in landed if packet.shard_id != result.shard_id]
        if self._stream.trusts_numbers:
            # One number tells for all records that lie in the same shard.
            one_each = {result.shard_id or "": result for result in results}
            anew = {shard_id for shard_id, result in one_each.items() if self._is_another(shard_id, result)}
            if anew:
                odd += [each for each in zip(packets, results, strict=True) if each[1].shard_id in anew]
        if not odd:
            return []
        self._learn(odd, patiently)
        judged = zip(packets, results, strict=True) if self.map is not before else odd
        lost = {id(packet): packet for packet, result in judged if not self._holds(packet, result)}
        if not all(self._explains(*each) for each in odd):
            # The service chooses the shards, perhaps only since a moment ago, so no map tells where records go.
            self._stream.ask_again()
        return list(lost.values())

    def _holds(self, packet: Packet, result: PutResult) -> bool:
        """Whether a consumer takes the record where it lies. It drops aggregated records outside their shard."""
        if len(packet.members) == 1:
            return True
        low, high = packet.spread
        shard = self.map.get(result.shard_id or "")
        # The service put a record with one key there by its hash, so it is right in a shard that the map doesn't know yet.
        return low == high if shard is None else shard.start <= low and high <= shard.end

    def _is_another(self, shard_id: str, result: PutResult) -> bool:
        """Whether the number shows that this is not the shard that the map knows by that id."""
        shard = self.map.get(shard_id)
        return shard is not None and not _is_of(result, shard)

    def _learn(self, odd: list[_Odd], patiently: _Patiently) -> None:
        """Reads the map again, a few times at most as ListShards may lag, until it explains where these records are."""
        stream = self._stream
        mixed = any(packet.spread[0] != packet.spread[1] for packet, _ in odd)
        if not mixed and not stream.may_read_map():
            return
        tries = _TRIES if mixed else 1
        waits = delays(*_WAITS_S)
        for attempt in range(tries):
            seen = self.map.version
            self.map = patiently(lambda seen=seen: stream.shards.refresh(seen))  # type: ignore[misc]
            if all(self._explains(*each) for each in odd):
                break
            if attempt + 1 < tries:
                stream.sleep(next(waits))
        known = [(result, self.map.get(result.shard_id or "")) for _, result in odd]
        stream.trusts_numbers = all(shard is None or _is_of(result, shard) for result, shard in known)

    def _explains(self, packet: Packet, result: PutResult) -> bool:
        shard = self.map.get(result.shard_id or "")
        return shard is not None and shard.start <= packet.hash_key <= shard.end


def _is_of(result: PutResult, shard: Shard) -> bool:
    """Tells whether a sequence number can be of exactly that shard, by the time at which the shard was made."""
    try:
        number, first = int(result.sequence_number or ""), int(shard.starting_sequence_number)
    except ValueError:
        return True
    if number.bit_length() != _NUMBER_BITS or first.bit_length() != _NUMBER_BITS:
        return True
    return number >> _BITS_BEHIND_TIME == first >> _BITS_BEHIND_TIME
