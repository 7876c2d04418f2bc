"""`TableReader` reads one Parquet, ORC or Avro object through a worker process, whatever becomes of that.

| what becomes of the worker | what becomes of the object |
|---|---|
| it ends (SIGSEGV, SIGABRT, killed for its memory) | read again by another one, once; no row is given twice |
| it ends the second time | a dead letter `UnreadableObject` with the signal, behind the rows that were given |
| it says nothing for five minutes | the same |

The second try is for whoever was killed without a fault of the object; a worker gives the same rows for the same bytes.
"""

from collections.abc import Iterator, Sequence

from penstock.io.chain.live_objects import LIVE
from penstock.io.s3.formats._compression import Damaged, Unsupported
from penstock.io.s3.formats._rows import Choose, Columns, Rows
from penstock.io.s3.objects import ObjectFailure
from penstock.io.s3.origin import S3Object
from penstock.io.s3.streams import ObjectStream, Store
from penstock.io.s3.tables._messages import PART_BYTES, Done, Failed, Task
from penstock.io.s3.tables.process import Died, Workers

__all__ = ["TableReader"]

_TRIES = 2
_UNREADABLE = "UnreadableObject"


class TableReader:
    """Reads one object's rows.

    Args:
        store: where it is.
        found: the object.

    Attributes:
        position: behind the last byte of it that was asked for, where it is read from its beginning to its end.
    """

    def __init__(self, store: Store, found: S3Object) -> None:
        self._store = store
        self._object = found
        self._stream: ObjectStream | None = None
        self._onward = False
        self.position = 0

    def rows(
        self,
        form: str,
        start: int,
        end: int | None,
        columns: Sequence[str],
        position: bytes,
        choose: Choose,
    ) -> Iterator[Rows | Columns]:
        """Gives the rows of a part.

        Args:
            form: `parquet`, `orc` or `avro`.
            start: the first row group, or byte.
            end: behind the last one; None for the end.
            columns: to be read; empty for all.
            position: names the object for ever.
            choose: whether, and which, columns are wanted as such.

        Raises:
            Damaged: cut short or corrupt; what stands before was yielded.
            ObjectFailure: it can't be read, or not any more.
            PenstockError: what concerns more than this object.
            Stopped: the job stops.
        """
        self._onward = form == "avro"
        task = Task("rows", form, self._object.size, start, end, list(columns), position)
        for message in self._messages(task, choose):
            if not isinstance(message, Done):
                yield message

    def row_groups(self, split_bytes: int) -> list[tuple[int, int]]:
        """Gives ranges of a Parquet file's row groups; raises as `rows` does."""
        return [(first, end) for first, end in self._numbers("plan", "parquet", split_bytes)]

    def count(self, form: str) -> int:
        """Gives how many rows a Parquet or ORC file's footer promises; raises as `rows` does."""
        ((count,),) = self._numbers("count", form)
        return count

    def _numbers(self, what: str, form: str, split_bytes: int = 0) -> list[list[int]]:
        task = Task(what, form, self._object.size, split_bytes=split_bytes)
        for message in self._messages(task, lambda *_: None):
            if isinstance(message, Done):
                return message.numbers
        return []

    def _messages(self, task: Task, choose: Choose) -> Iterator[Rows | Columns | Done]:
        workers: Workers = LIVE.share("s3 table workers", Workers)
        stopping = self._store.stopping
        given = 0
        died = Died()
        for _ in range(_TRIES):
            worker = workers.take(stopping)
            idle = False
            try:
                for number, message in enumerate(worker.run(task, self._bytes, choose, stopping)):
                    if isinstance(message, (Done, Failed)):
                        idle = True
                        workers.give(worker)
                    if isinstance(message, Failed):
                        raise _failure(task, message)
                    if number >= given:
                        given += 1
                        yield message
            except Died as error:
                died = error
            else:
                return
            finally:
                if not idle:
                    workers.drop(worker)
                self._close()
        reason = f"reading the object as {task.form} ended the process that reads such files: {died}, twice"
        raise ObjectFailure(_UNREADABLE, reason)

    def _bytes(self, offset: int, size: int) -> Iterator[bytes]:
        end = min(offset + size, self._object.size)
        stream = self._stream
        if stream is None or stream.position != offset:
            self._close()
            stream = self._stream = ObjectStream(
                self._store, self._object, offset, None if self._onward else end
            )
        while offset < end:
            data = stream.read(min(end - offset, PART_BYTES))
            offset += len(data)
            if self._onward:
                self.position = offset
            yield data
        if not self._onward:
            self._close()

    def _close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None


def _failure(task: Task, failed: Failed) -> Exception:
    for kind in (Unsupported, Damaged):
        if failed.kind == kind.kind:
            return kind(failed.reason)
    return ObjectFailure(failed.kind, f"the object, read as {task.form}, cannot be read: {failed.reason}")
