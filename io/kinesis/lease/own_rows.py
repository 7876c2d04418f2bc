"""`OwnRows` reads the lease table and gives only the rows that are this stream's to use.

At the start any other row ends the job with one line. Later such a row is named in the log once per minute, and never
touched.
"""

import logging
from collections.abc import Iterable, Mapping

from penstock.io.errors import StateError
from penstock.io.kinesis.lease.rules._ownership import Kind, Trouble, sort_rows
from penstock.io.kinesis.lease.stream_view import StreamView
from penstock.io.kinesis.lease.table import Lease, LeaseStore
from penstock.io.kinesis.positions import TRIM_HORIZON, Position
from penstock.io.rarely import Rarely

__all__ = ["OwnRows", "all_in_one"]

_LOGGER = logging.getLogger(__name__)


class OwnRows:
    """The rows of one stream in a lease table.

    Args:
        store: the lease table.
        view: what the stream tells of itself.
        table: the table's name.
        said: lets a message through once per minute.

    Attributes:
        troubles: what was wrong with other rows at the last reading, by their key.
    """

    def __init__(self, store: LeaseStore, view: StreamView, table: str, said: Rarely) -> None:
        self.troubles: Mapping[str, Trouble] = {}
        self._store = store
        self._view = view
        self._table = table
        self._said = said
        self._kcl3_seen = False

    def read(self, *, at_start: bool) -> list[Lease]:
        """Reads the rows that can be used.

        Raises:
            StateError: at the start, there is another row; one line that says which, why, and what to do.
            PenstockError: a call failed.
        """
        rows = self._store.rows()
        view, table = self._view, self._table
        good, troubles = sort_rows(rows, view.shards, view.identity, table)
        if any(trouble.kind in (Kind.ENDED_BUT_OPEN, Kind.MISFIT) for trouble in troubles.values()):
            # Another worker may have followed a shard that our listing still shows open.
            view.list_now(max_age_s=1.0)
            good, troubles = sort_rows(rows, view.shards, view.identity, table)
        self.troubles = troubles
        if troubles and at_start:
            raise StateError(all_in_one(troubles))
        for trouble in troubles.values():
            if self._said.due(trouble.row):
                _LOGGER.error("%s", trouble.text)
        if rows.kcl3 and not self._kcl3_seen:
            self._kcl3_seen = True
            _LOGGER.warning(
                "lease table %s has rows of a KCL 3 worker. Stop that consumer before this job starts: beside it, this "
                "job keeps all leases.", table,
            )  # fmt: skip
        return good

    def positions(self, leases: Iterable[Lease]) -> dict[str, Position]:
        """Gives positions by shard. A shard whose row can't be used is not finished, so its children wait."""
        positions = dict.fromkeys(self.troubles, TRIM_HORIZON)
        positions.update((lease.shard_id, lease.position) for lease in leases)
        return positions


def all_in_one(troubles: Mapping[str, Trouble]) -> str:
    """Gives the first of some troubles, and how many more there are."""
    texts = [trouble.text for trouble in troubles.values()]
    return texts[0] + (f" ({len(texts) - 1:,} more rows have such a fault)" if len(texts) > 1 else "")
