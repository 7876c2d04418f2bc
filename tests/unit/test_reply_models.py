"""The cores that read replies, rows and files beside plain readings of the same; and faults that those must find."""

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from tests.tools.models.reply_models import CHECKS, by_chance

INPUTS = 3000

FAULTS = {
    "kpl: the checksum is not looked at": ("kpl._deaggregation", "!= data[-_DIGEST_SIZE:]", "== b''"),
    "kpl: an index one beyond its table passes": (
        "kpl._deaggregation",
        "for record in records]) >= len(keys)",
        "for record in records]) > len(keys)",
    ),
    "kpl: explicit hash keys are ignored": (
        "kpl._deaggregation",
        "used[place] >= 0 else hashed",
        "used[place] >= 99 else hashed",
    ),
    "kpl: the end of the range is outside": (
        "kpl._deaggregation",
        "max(everything) <= end",
        "min(everything) <= end",
    ),
    "kpl: the last user record is lost": (
        "kpl._deaggregation",
        "[record.data for record in records], outside",
        "[record.data for record in records[:-1]], outside",
    ),
    "kpl: a plain record hides its neighbour": (
        "kpl._deaggregation",
        "        deaggregate(data, hash_range) if found is NotImplemented else found\n",
        "        None\n",
    ),
    "get records: escaped slashes are no base64": (
        "wire._get_reply",
        "    except ValueError:\n        # Some",
        "    except KeyError:\n        # Some",
    ),
    "get records: a delay is forgotten": (
        "wire._get_reply",
        "reply.next_shard_iterator, reply.millis_behind_latest",
        "reply.next_shard_iterator, None",
    ),
    "get records: data is cut a character early": (
        "wire._get_reply",
        "texts.append(view[start:end])",
        "texts.append(view[start:end - 4])",
    ),
    "get records: what is no base64 passes": (
        "wire._get_reply",
        "b64decode(text, validate=True)",
        "b64decode(text)",
    ),
    "get records: the key is the number": (
        "wire._get_reply",
        "_payload(text), record.partition_key",
        "_payload(text), record.sequence_number",
    ),
    "bulk: a reply that leaves out a document passes": ("bulk._bulk", "if len(items) != expected or", "if"),
    "bulk: any number is a status": (
        "bulk._bulk",
        "if not all(200 <= each.status < 600",
        "if not all(0 <= each.status < 6000",
    ),
    "bulk: what went to the failure store is written": (
        "bulk._bulk",
        "        and _FAILURE_STORE not in reply\n",
        "",
    ),
    "bulk: one good document is enough": (
        "bulk._bulk",
        "reply.count(b'\"status\":20') == expected == reply.count(b'\"status\":')",
        "reply.count(b'\"status\":20') >= 1",
    ),
    "bulk: errors are forgotten": (
        "bulk._bulk",
        "    error: Cause | None = None\n    failure",
        "    errur: Cause | None = None\n    failure",
    ),
    "lease: an owner stays when it is released": (
        "rules._rows",
        "counter=self.counter + 1, owner=None",
        "counter=self.counter + 1",
    ),
    "lease: a take does not count": (
        "rules._rows",
        "            counter=self.counter + 1,\n            owner=owner,",
        "            owner=owner,",
    ),
    "lease: a type is not looked at": (
        "rules._rows",
        "        raise ValueError(message)\n    return value[kind]",
        "        return default\n    return value[kind]",
    ),
    "lease: children are written as parents": (
        "rules._rows",
        'item["childShardIds"] = {"SS": list(self.children)}',
        'item["childShardIds"] = {"SS": list(self.parents)}',
    ),
    "lease: the place in a record is lost": ("rules._rows", "str(self.position.sub_sequence_number)", '"0"'),
    "lease: rows of KCL 3 are leases": (
        "rules._rows",
        '!= "LEASE":\n            return None',
        '!= "LEASE":\n            pass',
    ),
    "avro: rows are not bounded": (
        "formats._avro_blocks",
        "if not 0 <= rows <= max(len(inflated)",
        "if not 0 <= rows <= max(1 << 40",
    ),
    "avro: the sync marker is not looked at": (
        "formats._avro_blocks",
        "if exact.read(SYNC_BYTES) != self._sync:",
        "if not exact.read(SYNC_BYTES):",
    ),
    "avro: a stream that is cut short passes": ("formats._avro_blocks", "if not inner.eof:", "if False:"),
    "avro: a block's place is its end": (
        "formats._avro_blocks",
        "yield self._block(offset, rows, data)",
        "yield self._block(self._offset + exact.position, rows, data)",
    ),
    "avro: a part reads its neighbour's first block": (
        "formats._avro_blocks",
        "self._offset + exact.position < end:",
        "self._offset + exact.position <= end:",
    ),
    "avro: a torn file ends well": (
        "formats._avro_blocks",
        "        if len(data) < size:\n            message",
        "        if len(data) < 0:\n            message",
    ),
    "columns: a backslash is not escaped": ("formats._json_columns", '    ("\\\\", "\\\\\\\\"),\n', ""),
    "columns: control characters pass": (
        "formats._json_columns",
        "if _has_controls(text) and _has_controls(_text(column)):",
        "if False:",
    ),
    "columns: a null is empty text": (
        "formats._json_columns",
        'pc.fill_null(tokens, "null")',
        "pc.fill_null(tokens, '\"\"')",
    ),
    "columns: quotes stay inside": ("formats._json_columns", "    ('\"', '\\\\\"'),\n", ""),
    "scan: an id of its own is ignored": (
        "kernels._scan",
        "(metadata is not None and metadata.id is not None) or ",
        "",
    ),
    "scan: numbers have no end": (
        "kernels._scan",
        "_LEAST, _MOST = -(1 << 63), (1 << 64) - 1",
        "_LEAST, _MOST = -(1 << 80), 1 << 80",
    ),
    "scan: bad UTF-8 passes": ("kernels._scan", "                data.decode()\n", "                pass\n"),
    "scan: a reader is its installation": (
        "kernels._scan",
        "(reader := agent.ephemeral_id or agent.id)",
        "(reader := agent.id)",
    ),
    "scan: a time is not kept": (
        "kernels._scan",
        "event.timestamp = timestamp\n",
        "event.timestamp = None\n",
    ),
}
"""What is changed, in which module; the reading beside it must notice each."""


def module_of(short: str) -> str:
    (name,) = [name for name in CHECKS if name.endswith(f".{short}")]
    return name


@pytest.mark.parametrize("name", CHECKS)
def test_the_core_says_what_a_plain_reading_says(name: str) -> None:
    module = importlib.import_module(name)
    for data in by_chance(INPUTS):
        CHECKS[name](module, data)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_seeded_fault_is_found(fault: str) -> None:
    short, before, after = FAULTS[fault]
    name = module_of(short)
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    source = Path(spec.origin).read_text()
    assert source.count(before) == 1, f"{name}: the fault {before!r} has to be seeded anew"
    module = ModuleType(name)
    exec(compile(source.replace(before, after), spec.origin, "exec"), module.__dict__)
    for data in by_chance(INPUTS):
        try:
            CHECKS[name](module, data)
        except Exception:
            return
    pytest.fail(f"{INPUTS} inputs did not show that {fault}")
