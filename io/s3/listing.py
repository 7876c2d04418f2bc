"""`list_objects` gives the objects that `--input` and `--input_manifest` name, one after another.

Plan. A listing may hold millions of keys, so it is a stream: only the current page is kept. Where `--from` and `--to`
name days, folders are listed first, and only those whose date fits are looked into. A look down one branch finds
the level of the dates. An object that two inputs name is read for the first of them.

The files that Spark, Hadoop, Delta and Iceberg keep for themselves are left out, and logged (see `_selection.hidden`).
"""

import logging
import os
import threading
from collections.abc import Callable, Iterator

from penstock.io.aws.session import AwsOptions
from penstock.io.errors import NotFound
from penstock.io.rarely import Rarely
from penstock.io.s3._selection import dates_of_key, hidden, literal_prefix, pattern_of, selector, table_of
from penstock.io.s3.objects import LocalFiles, ObjectFailure, S3Objects
from penstock.io.s3.options import S3ReadOptions, split_url
from penstock.io.s3.origin import S3Object

__all__ = ["Stores", "list_objects"]

_LOGGER = logging.getLogger(__name__)
_DEEPEST = 8
"""Levels of folders that are looked through for dates."""
_SAY_EVERY_S = 10.0


class Stores:
    """Gives the store of an object: its bucket, or the local files.

    Args:
        options: how buckets are read.
        aws: who we are.
        stopping: set when the job stops.
    """

    def __init__(self, options: S3ReadOptions, aws: AwsOptions, stopping: threading.Event) -> None:
        self._options = options
        self._aws = aws
        self._stopping = stopping
        self._local = LocalFiles(stopping)
        self._remote: S3Objects | None = None
        self._lock = threading.Lock()

    def of(self, bucket: str) -> S3Objects | LocalFiles:
        """Gives the store of a bucket; for an empty name, that of local files."""
        if not bucket:
            return self._local
        with self._lock:
            if self._remote is None:
                self._remote = S3Objects(
                    self._aws,
                    request_payer=self._options.request_payer,
                    sse_customer_key=self._options.sse_customer_key,
                    stopping=self._stopping,
                )
                self._remote.session.credentials()
            return self._remote

    def close(self) -> None:
        """Does nothing, because nothing is held between reads."""


def list_objects(options: S3ReadOptions, stores: Stores) -> Iterator[S3Object]:
    """Gives the objects to read, in the order of inputs and keys. Ends early when the job is stopping.

    Raises:
        PenstockError: an input can't be listed, or is empty.
    """
    wanted = selector(options)
    told = _Told()
    inputs = [_Input(url, options) for url in options.input]
    for number, each in enumerate(inputs):
        found = left_out = 0
        try:
            for one in each.objects(stores):
                told.listed()
                if not each.fits(one):
                    continue
                found += 1
                if each.hides(one):
                    left_out += 1
                    told.hidden(one)
                elif (
                    each.take(one)
                    and wanted(one)
                    and not any(earlier.means(one) for earlier in inputs[:number])
                ):
                    yield one
        except ObjectFailure as failure:
            message = f"--input {each.url}: cannot read it: {failure.reason}."
            raise NotFound(message) from failure
        if not found:
            message = f"--input {each.url}: there is nothing of that name{_or_in(each.url)}."
            raise NotFound(message)
        if left_out == found:
            message = (
                f"--input {each.url}: all {found} objects there are hidden (their names begin with . or _). "
                "Give --include_hidden."
            )
            raise NotFound(message)
    if options.input_manifest:
        # It brings pyarrow, for which no --help should wait.
        from penstock.io.s3.object_lists import objects_of_list

        for one in objects_of_list(options.input_manifest, stores.of):
            told.listed()
            if wanted(one) and not any(earlier.means(one) for earlier in inputs):
                yield one
    told.end()


def _or_in(url: str) -> str:
    return ", but an empty folder" if os.path.isdir(url.removeprefix("file://")) else ""


class _Input:
    """One `--input`."""

    def __init__(self, url: str, options: S3ReadOptions) -> None:
        self.url = url
        self._options = options
        self._bucket, self._key = split_url(url)
        self._prefix = literal_prefix(self._key)
        self._given: set[str] = set()
        matches = pattern_of(self._key)
        self._matches: Callable[[str], bool] = matches if self._bucket else (lambda key: True)

    def fits(self, found: S3Object) -> bool:
        """Whether the input means a listed object, hidden or not."""
        return self._matches(found.key)

    def take(self, found: S3Object) -> bool:
        """Remembers a local file, because no pattern tells later that it was this input's. Gives True."""
        if not self._bucket:
            self._given.add(found.key)
        return True

    def hides(self, found: S3Object) -> bool:
        """Whether the object is left out as hidden."""
        return not self._options.include_hidden and hidden(
            found.key, self._prefix if self._bucket else self._folder
        )

    def means(self, found: S3Object) -> bool:
        """Whether this input has given an object that another one gives too. Never for local files."""
        return (
            bool(self._bucket) and found.bucket == self._bucket and self.fits(found) and not self.hides(found)
        )

    @property
    def _folder(self) -> str:
        """Of local files, which are listed by their full paths: what was asked for, up to its last folder."""
        return LocalFiles.full_prefix(self._key)

    def objects(self, stores: Stores) -> Iterator[S3Object]:
        store = stores.of(self._bucket)
        if isinstance(store, LocalFiles):
            yield from store.list("", self._key)
            return
        begin, end = self._options.time_ms("from_time"), self._options.time_ms("to_time")
        after = self._options.start_after or ""
        if begin is None and end is None:
            yield from store.list(self._bucket, self._prefix, after)
        else:
            yield from _within(store, self._bucket, self._prefix, after, (begin, end))


def _within(
    store: S3Objects, bucket: str, prefix: str, after: str, times: tuple[int | None, int | None]
) -> Iterator[S3Object]:
    """Gives the objects of a prefix, without the folders whose date is out of the range."""
    levels = _levels_to_dates(store, bucket, prefix, after)
    yield from _descend(store, bucket, prefix, after, times, levels)


def _levels_to_dates(store: S3Objects, bucket: str, prefix: str, after: str) -> int:
    """Gives the number of levels below `prefix` whose folders name a date, from the last branch; 0 where none does."""
    for depth in range(1, _DEEPEST + 1):
        level = store.level(bucket, prefix, after)
        if level is None or not level[0]:
            return 0
        prefix = level[0][-1]
        if dates_of_key(prefix) is not None:
            return depth
    return 0


def _descend(
    store: S3Objects, bucket: str, prefix: str, after: str, times: tuple[int | None, int | None], levels: int
) -> Iterator[S3Object]:
    level = store.level(bucket, prefix, after) if levels else None
    if level is None:  # no dates further down, or too many folders to ask one by one
        yield from store.list(bucket, prefix, after)
        return
    folders, objects = level
    yield from objects
    begin, end = times
    for folder in folders:
        dates = dates_of_key(folder)
        if dates is None:
            yield from _descend(store, bucket, folder, after, times, levels - 1)
        elif (begin is None or dates[1] > begin) and (end is None or dates[0] < end):
            yield from store.list(bucket, folder, after)


class _Told:
    """Logs how far a long listing is, and what was left out."""

    def __init__(self) -> None:
        self._often = Rarely(_SAY_EVERY_S)
        self._often.due()  # not at once
        self._listed = self._hidden = 0
        self._example = ""
        self._tables: set[tuple[str, str]] = set()

    def listed(self) -> None:
        self._listed += 1
        if not self._listed % 1000 and self._often.due():
            _LOGGER.info("listed %s keys so far", f"{self._listed:,}")

    def hidden(self, found: S3Object) -> None:
        self._hidden += 1
        self._example = self._example or found.url
        table = table_of(found.key)
        if table is None or len(self._tables) >= 100:
            return
        kind, folder = table
        where = f"s3://{found.bucket}/{folder}" if found.bucket else folder
        if table not in self._tables:
            self._tables.add(table)
            _LOGGER.warning(
                "%s is %s: files that it has replaced or deleted, but not removed yet, are read too. To read only "
                "its live files, list them in --input_manifest",
                where,
                kind,
            )

    def end(self) -> None:
        if self._hidden:
            _LOGGER.info(
                "%s hidden objects are left out, such as %s (--include_hidden reads them)",
                f"{self._hidden:,}",
                self._example,
            )
