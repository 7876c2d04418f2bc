"""`opening` opens the store of letters that a URL names, and reads letters back. It needs no Beam."""

import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, unquote, urlsplit

from penstock.io.aws.session import AwsOptions
from penstock.io.chain.live_objects import LIVE
from penstock.io.dead_letters._letters import decode
from penstock.io.dead_letters._parts import Joiner
from penstock.io.dead_letters.file_store import FileStore
from penstock.io.elasticsearch.options import ElasticsearchOptions
from penstock.io.errors import OptionError
from penstock.transforms.batch import DeadLetter

__all__ = [
    "LetterReader",
    "Store",
    "default_store_url",
    "open_store",
    "place_of",
    "read_letters",
    "require_store_url",
]

_LOGGER = logging.getLogger(__name__)
_EXAMPLES = "file:///path, elasticsearch:index, s3://bucket/prefix or kinesis:stream"
_INDEX = re.compile(r"(?!\.\.?$)[^\s\\/*?\"<>|,#:A-Z_+-][^\s\\/*?\"<>|,#:A-Z]{0,254}")
_STREAM = re.compile(r"[a-zA-Z0-9_.-]{1,128}")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


class Store(Protocol):
    """Keeps letters.

    Attributes:
        where: for messages.
        gathers: whether letters of several batches are better stored together.
    """

    where: str
    gathers: bool

    def append(self, letters: list[DeadLetter]) -> None:
        """Stores letters for good, or raises a `PenstockError`."""

    def read(self) -> Iterator[bytes]:
        """Gives all letters, as lines."""

    def close(self) -> None:
        """Closes connections."""


def default_store_url(job: str) -> str:
    """Gives the URL of the file where a job's letters are kept when nothing else is said.

    It lies below the state folder: that of systemd (`StateDirectory=`), else where the job runs. Nobody runs in `/` on
    purpose, so there it is the user's own state folder (XDG).
    """
    state = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    folder = Path(state) if state else Path.cwd()
    if not state and folder == Path("/"):
        base = os.environ.get("XDG_STATE_HOME", "")
        folder = (Path(base) if base.startswith("/") else Path.home() / ".local/state") / "penstock"
    return f"file://{quote(str(folder / 'dead_letters' / f'{job}.jsonl'))}"


def require_store_url(url: str) -> None:
    """Raises `OptionError` unless `url` names a dead-letter store."""
    place_of(url)


def place_of(url: str) -> tuple[str, str, str]:
    """Gives scheme, name (path, index, bucket, stream) and prefix of a store's URL.

    Raises `OptionError` where it is none.
    """
    parts = urlsplit(url)
    scheme, rest = parts.scheme, parts.path
    if scheme == "file" and parts.netloc in ("", "localhost") and rest.startswith("/") and rest.strip("/"):
        path = unquote(rest)
        if "\0" not in path:
            return scheme, path, ""
    if scheme == "s3" and _BUCKET.fullmatch(parts.netloc):
        return scheme, parts.netloc, unquote(rest).strip("/")
    if scheme == "kinesis" and not parts.netloc and _STREAM.fullmatch(rest):
        return scheme, rest, ""
    if scheme == "elasticsearch" and not parts.netloc and _INDEX.fullmatch(rest):
        return scheme, rest, ""
    message = f"--dead_letters {url!r} is none of {_EXAMPLES}."
    raise OptionError(message)


def open_store(
    url: str, elasticsearch: ElasticsearchOptions | None = None, aws: AwsOptions | None = None
) -> Store:
    """Opens the store that `url` names.

    Args:
        url: see `WriteDeadLetters`.
        elasticsearch: the cluster of `elasticsearch:index`.
        aws: credentials, region and endpoint of `s3:` and `kinesis:`.

    Raises:
        OptionError: no such kind of store, or the options for it are missing.
    """
    scheme, name, prefix = place_of(url)
    if scheme == "file":
        return FileStore(Path(name))
    from penstock.io.dead_letters import stores

    if scheme == "elasticsearch":
        if elasticsearch is None:
            message = f"--dead_letters {url}: this job has no Elasticsearch; use another kind of store."
            raise OptionError(message)
        return stores.ElasticsearchStore(name, elasticsearch, LIVE.stopping)
    if aws is None:
        message = f"--dead_letters {url}: this job has no AWS options; use another kind of store."
        raise OptionError(message)
    if scheme == "s3":
        return stores.S3Store(name, prefix, aws, LIVE.stopping)
    return stores.KinesisStore(name, aws, LIVE.stopping)


class LetterReader:
    """Reads the letters of a store.

    Attributes:
        wrong: at the end, how many lines are no letters, or parts of a letter whose other parts are missing.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.wrong = 0

    def __iter__(self) -> Iterator[DeadLetter]:
        joiner = Joiner()
        for line in self._store.read():
            if line.isspace():
                continue
            try:
                whole = joiner.take(line)
                letter = None if whole is None else decode(whole)
            except ValueError:
                self.wrong += 1
                continue
            if letter is not None:
                yield letter
        self.wrong += joiner.left
        if self.wrong:
            _LOGGER.warning(
                "%s: %d lines are no dead letters and were left out", self._store.where, self.wrong
            )


def read_letters(store: Store) -> Iterator[DeadLetter]:
    """Gives the letters of a store. Other lines are counted, logged once, and left out."""
    return iter(LetterReader(store))
