"""`AddRecordProperties` puts into `[@metadata]` where an event's record stood, as the input of Logstash does.

- `approximate_arrival_timestamp`: when Kinesis took the record in, in milliseconds since 1970.
- `partition_key`: the record's own; all user records of an aggregated record have that one.
- `sequence_number`: a text of digits, as Kinesis gives it.
"""

from penstock.transforms.batch import Event
from penstock.transforms.document import with_metadata
from penstock.transforms.events import EventTransform

__all__ = ["AddRecordProperties", "with_record_properties"]


class AddRecordProperties(EventTransform):
    """Adds them to events that came in a record of a stream; others stay. Nothing of `[@metadata]` is stored.

    The id stays that of the event as it came.
    """

    def __init__(self) -> None:
        super().__init__(with_record_properties, "record_properties")


def with_record_properties(event: Event) -> list[Event]:
    """Gives the event with its record's properties; also one that comes back from a letter, whose origin tells them."""
    words = event.origin.describe()
    if "sequence_number" not in words or "shard_id" not in words:
        return [event]
    properties = {
        "approximate_arrival_timestamp": event.origin.arrived_ms,
        "partition_key": words.get("partition_key"),
        "sequence_number": words["sequence_number"],
    }
    return [with_metadata(event, properties)]
