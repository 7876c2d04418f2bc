"""`require_sense` refuses a GetRecords reply whose JSON is right but whose values make no sense."""

from penstock.io.kinesis.wire.calls import GetRecordsReply, bad_reply

__all__ = ["require_sense"]

_MAX_DIGITS = 129
"""The most digits that the API allows."""
_LATEST_TIME_S = 1e11


def require_sense(reply: GetRecordsReply) -> None:
    """Raises the `CallFailed` of a bad reply. Such a call is tried again, because nonsense must not end the job."""
    numbers = [record.sequence_number for record in reply.records]
    if not numbers:
        return
    together = "".join(numbers)
    # Compared as bytes: str.isdigit costs twenty times as much.
    digits = together.isascii() and together.encode().isdigit()
    if not digits or not all(numbers) or len(together) > _MAX_DIGITS * len(numbers):
        raise bad_reply(operation="GetRecords", what="a sequence number is no number")
    times = [record.approximate_arrival_timestamp for record in reply.records]
    if not 0 <= min(times) <= max(times) < _LATEST_TIME_S:
        raise bad_reply(operation="GetRecords", what="an arrival time is no time")
