"""`objects_of_list` reads `--input_manifest`: a list of the objects that are to be read.

| kind of list | recognised by |
|---|---|
| a line for each object: its URL, or JSON with bucket, key and optionally version | nothing else fits |
| an S3 Inventory in Parquet, ORC or CSV | its `manifest.json`; or a file of it (not CSV), with the columns `bucket`, `key` |

Each object of a list is looked up (HEAD), several at a time, in the order of the list. An inventory already holds what a
HEAD would tell. An object that isn't there any more does not end the job: it becomes a letter that says so.
"""

import codecs
import concurrent.futures
import csv
import datetime
import itertools
import json
import urllib.parse
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from penstock.io.errors import NotFound, OptionError
from penstock.io.s3.formats._compression import Damaged, blocks, detect
from penstock.io.s3.formats._recognise import PARQUET, is_orc
from penstock.io.s3.formats._rows import Columns
from penstock.io.s3.objects import LocalFiles, ObjectFailure, S3Objects
from penstock.io.s3.options import split_url
from penstock.io.s3.origin import S3Object
from penstock.io.s3.streams import ObjectStream
from penstock.io.s3.tables.reading import TableReader

__all__ = ["objects_of_list"]

_LOOKUPS = 8
"""HEADs under way at the same time: the number of connections that the client keeps."""
_MAX_INVENTORY_BYTES = 64 << 20
_HEAD = 64 << 10

Store = S3Objects | LocalFiles
Named = tuple[str, str, str | None]
"""Bucket, key and version."""


def objects_of_list(url: str, store_of: Callable[[str], Store]) -> Iterator[S3Object]:
    """Gives the objects that the list at `url` names, in its order.

    Args:
        url: the list's URL.
        store_of: gives the store of a bucket.

    Raises:
        PenstockError: the list can't be read, or a line of it is neither a URL nor JSON.
    """
    bucket, key = split_url(url)
    store = store_of(bucket)
    try:
        found = store.stat(bucket, key)
        stream = ObjectStream(store, found)
        head = stream.read(_HEAD)
        if head.startswith(PARQUET) or is_orc(head):
            stream.close()
            yield from _inventory_rows(url, store, found, store_of)
        elif (inventory := _inventory(url, head, stream)) is not None:
            yield from _inventory_files(url, inventory, store_of)
        else:
            yield from _looked_up(_names(url, _lines(head, stream)), store_of)
        stream.close()
    except ObjectFailure as failure:
        message = f"--input_manifest {url}: {failure.reason}."
        raise NotFound(message) from failure
    except (Damaged, csv.Error) as error:
        message = f"--input_manifest {url}: the inventory can't be read ({error})."
        raise OptionError(message) from error


# -- lines ---------------------------------------------------------------------------------------------


def _lines(head: bytes, stream: ObjectStream) -> Iterator[str]:
    carry = b""
    for block in itertools.chain([head], iter(stream.read, b"")):
        *lines, carry = (carry + block).split(b"\n")
        for line in lines:
            yield line.decode(errors="replace")
    yield carry.decode(errors="replace")


def _names(url: str, lines: Iterator[str]) -> Iterator[Named]:
    for number, line in enumerate(lines, 1):
        text = line.strip().removeprefix("\ufeff")
        if not text or text.startswith("#"):
            continue
        if not text.startswith("{"):
            yield *split_url(text), None
            continue
        try:
            entry = json.loads(text)
            yield str(entry["bucket"]), str(entry["key"]), entry.get("version")
        except (ValueError, KeyError, TypeError):
            message = f"--input_manifest {url}, line {number}: neither a URL nor JSON with bucket and key."
            raise OptionError(message) from None


def _looked_up(names: Iterator[Named], store_of: Callable[[str], Store]) -> Iterator[S3Object]:
    """Gives the objects of these names, and looks several up at a time. A missing one carries its failure."""
    waiting: deque[concurrent.futures.Future[S3Object]] = deque()
    with concurrent.futures.ThreadPoolExecutor(_LOOKUPS, "s3-head") as pool:
        try:
            for name in names:
                waiting.append(pool.submit(_look_up, name, store_of(name[0])))
                if len(waiting) > 4 * _LOOKUPS:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for each in waiting:
                each.cancel()


def _look_up(name: Named, store: Store) -> S3Object:
    bucket, key, version = name
    try:
        return store.stat(bucket, key, version)
    except ObjectFailure as failure:
        return S3Object(bucket, key, 0, "", 0, version, (failure.kind, failure.reason))
    except OptionError as error:  # a folder
        if bucket:
            raise
        return S3Object(bucket, key, 0, "", 0, version, ("ObjectDeleted", str(error)))


# -- S3 Inventory --------------------------------------------------------------------------------------


def _inventory(url: str, head: bytes, stream: ObjectStream) -> dict[str, Any] | None:
    """Reads the `manifest.json` of an inventory; None for any other list."""
    if not head.lstrip().startswith(b"{") or b'"fileFormat"' not in head:
        return None
    text = head
    while len(text) < _MAX_INVENTORY_BYTES and (more := stream.read()):
        text += more
    try:
        made = json.loads(text)
        form, files = made["fileFormat"], made["files"]
    except (ValueError, KeyError, TypeError):
        return None
    if form not in ("Parquet", "ORC", "CSV"):
        message = (
            f"--input_manifest {url}: an S3 Inventory in {form} ({len(files)} files), which is not read. "
            "Have it made in Parquet, ORC or CSV."
        )
        raise OptionError(message)
    return made  # type: ignore[no-any-return]


def _inventory_files(
    url: str, inventory: dict[str, Any], store_of: Callable[[str], Store]
) -> Iterator[S3Object]:
    bucket = str(inventory.get("destinationBucket", "")).rpartition(":")[2]
    own, own_key = split_url(url)
    for each in inventory["files"]:
        key = str(each["key"])
        if own:
            store = store_of(bucket or own)
            found = store.stat(bucket or own, key)
        else:  # a copy of it: the files stand beside it
            store = store_of("")
            found = store.stat("", f"{own_key.rpartition('/')[0] or '.'}/{key.rpartition('/')[2]}")
        if inventory["fileFormat"] == "CSV":
            yield from _objects_of_rows(_csv_rows(str(inventory["fileSchema"]), store, found), store_of)
        else:
            yield from _inventory_rows(found.url, store, found, store_of)


def _csv_rows(schema: str, store: Store, found: S3Object) -> Iterator[dict[str, Any]]:
    """Reads the rows of a gzipped CSV file: no header, keys in URL encoding, the columns as `manifest.json` names them."""
    names = [_CSV_NAMES.get(name.strip(), name.strip()) for name in schema.split(",")]
    stream = ObjectStream(store, found)
    head = stream.read(_HEAD)
    text = codecs.iterdecode(blocks(stream, head, detect(head)), "utf-8", "replace")
    carry = ""
    for block in itertools.chain(text, ["\n"]):
        *lines, carry = (carry + block).split("\n")
        for values in csv.reader(lines):
            row: dict[str, Any] = dict(zip(names, values, strict=False))
            if "bucket" not in row or "key" not in row:
                continue
            row["key"] = urllib.parse.unquote_plus(row["key"])
            row["is_latest"] = row.get("is_latest") != "false"
            row["is_delete_marker"] = row.get("is_delete_marker") == "true"
            row["size"] = int(row["size"]) if row.get("size") else None
            modified = row.get("last_modified_date")
            row["last_modified_date"] = datetime.datetime.fromisoformat(modified) if modified else None
            yield row
    stream.close()


def _inventory_rows(
    url: str, store: Store, found: S3Object, store_of: Callable[[str], Store]
) -> Iterator[S3Object]:
    """Gives the objects in a Parquet or ORC file of an inventory: the latest versions, without markers of deletion."""
    stream = ObjectStream(store, found, 0, len(PARQUET))
    form = "parquet" if stream.read() == PARQUET else "orc"
    stream.close()
    columns: list[str] = []

    def choose(names: Sequence[str], _: dict[str, str]) -> Sequence[str]:
        columns[:] = [name for name in _COLUMNS if name in names]
        if not {"bucket", "key"} <= set(columns):
            article = "an ORC" if form == "orc" else "a Parquet"
            message = f"--input_manifest {url}: {article} file without the columns bucket and key."
            raise OptionError(message)
        return columns

    for rows in TableReader(store, found).rows(form, 0, None, (), b"", choose):
        if isinstance(rows, Columns):
            values = zip(*rows.values(), strict=True)
            yield from _objects_of_rows((dict(zip(columns, row, strict=True)) for row in values), store_of)
        else:
            for _, _, reason in rows.letters:
                raise Damaged(reason)


_CSV_NAMES = {
    "Bucket": "bucket",
    "Key": "key",
    "IsLatest": "is_latest",
    "IsDeleteMarker": "is_delete_marker",
    "Size": "size",
    "LastModifiedDate": "last_modified_date",
    "ETag": "e_tag",
}
_COLUMNS = (
    "bucket",
    "key",
    "version_id",
    "is_latest",
    "is_delete_marker",
    "size",
    "last_modified_date",
    "e_tag",
)


def _objects_of_rows(rows: Iterable[dict[str, Any]], store_of: Callable[[str], Store]) -> Iterator[S3Object]:
    unknown: list[Named] = []
    for row in rows:
        if row.get("is_delete_marker") or row.get("is_latest") is False:
            continue
        size, etag, modified = row.get("size"), row.get("e_tag"), row.get("last_modified_date")
        if size is None or not etag or modified is None:
            unknown.append((row["bucket"], row["key"], None))
            continue
        if isinstance(modified, str):
            modified = datetime.datetime.fromisoformat(modified)
        if isinstance(modified, datetime.datetime):
            modified = round(modified.replace(tzinfo=modified.tzinfo or datetime.UTC).timestamp() * 1000)
        yield S3Object(row["bucket"], row["key"], int(size), str(etag).strip('"'), int(modified))
    yield from _looked_up(iter(unknown), store_of)
