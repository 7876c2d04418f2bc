"""`io/dead_letters` keeps refused events, and reads them back.

- `sink`: `WriteDeadLetters`.    - `opening`: the stores by URL, and their letters.    - `_letters`: a letter as a JSON line.
- `gathering`: stores letters of many batches together.
- `file_store`: `file:///path`.    - `stores`: `elasticsearch:index`, `s3://bucket/prefix`, `kinesis:stream`.
- `_parts`: letters longer than their store takes.      - `preflight`: tries whether letters can be kept.

The names below load when they are first used, so that a job's `--help` needs no Beam.
"""

from typing import TYPE_CHECKING

from penstock.transforms.lazy import lazily

if TYPE_CHECKING:
    from penstock.io.dead_letters._letters import ReplayedOrigin, decode, encode, has_event
    from penstock.io.dead_letters.opening import (
        LetterReader,
        Store,
        default_store_url,
        open_store,
        place_of,
        read_letters,
        require_store_url,
    )
    from penstock.io.dead_letters.sink import WriteDeadLetters

__all__ = [
    "LetterReader",
    "ReplayedOrigin",
    "Store",
    "WriteDeadLetters",
    "decode",
    "default_store_url",
    "encode",
    "has_event",
    "open_store",
    "place_of",
    "read_letters",
    "require_store_url",
]

__getattr__ = lazily(
    __name__,
    {
        "LetterReader": "opening",
        "ReplayedOrigin": "_letters",
        "Store": "opening",
        "WriteDeadLetters": "sink",
        "decode": "_letters",
        "default_store_url": "opening",
        "encode": "_letters",
        "has_event": "_letters",
        "open_store": "opening",
        "place_of": "opening",
        "read_letters": "opening",
        "require_store_url": "opening",
    },
)
