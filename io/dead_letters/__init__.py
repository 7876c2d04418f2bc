"""`io/dead_letters` keeps refused events, and reads them back.

- `sink`: `WriteDeadLetters`, and the stores by URL.    - `_letters`: a letter as a JSON line.
- `gathering`: stores letters of many batches together.
- `file_store`: `file:///path`.    - `stores`: `elasticsearch:index`, `s3://bucket/prefix`, `kinesis:stream`.
- `_parts`: letters longer than their store takes.      - `preflight`: tries whether letters can be kept.
"""

from penstock.io.dead_letters._letters import ReplayedOrigin, decode, encode, has_event
from penstock.io.dead_letters.sink import (
    LetterReader,
    Store,
    WriteDeadLetters,
    open_store,
    place_of,
    read_letters,
    require_store_url,
)

__all__ = [
    "LetterReader",
    "ReplayedOrigin",
    "Store",
    "WriteDeadLetters",
    "decode",
    "encode",
    "has_event",
    "open_store",
    "place_of",
    "read_letters",
    "require_store_url",
]
