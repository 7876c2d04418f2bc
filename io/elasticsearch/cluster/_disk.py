"""`_disk` says how full the cluster's disks are, by its own watermarks. Pure.

Beyond `low` a node takes no new shards, beyond `high` shards move away, beyond `flood_stage` every index with a shard
there becomes read-only. A watermark is a share of the disk that may be used (`85%`, `0.85`) or bytes that must stay
free (`100gb`). For a share, `max_headroom` bounds the bytes that must stay free.

Source: https://www.elastic.co/docs/reference/elasticsearch/configuration-reference/cluster-level-shard-allocation-routing-settings
"""

import re
from typing import Any

from penstock.io.errors import PeerError
from penstock.io.preflight.trials import Finding, failed, fine, not_tried, warning

__all__ = ["fullest", "must_stay_free"]

_PREFIX = "cluster.routing.allocation.disk."
_UNITS = {"b": 1, "kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30, "tb": 1 << 40, "pb": 1 << 50}


def _bytes(text: str) -> float | None:
    found = re.fullmatch(r"([\d.]+)\s*([kmgtp]?b)", text.strip().lower())
    return float(found[1]) * _UNITS[found[2]] if found else None


def must_stay_free(watermark: str, headroom: str | None, total: float) -> float | None:
    """Gives the bytes that must stay free on a disk of `total` bytes; None where the setting can't be read."""
    absolute = _bytes(watermark)
    if absolute is not None:
        return absolute
    found = re.fullmatch(r"([\d.]+)(%?)", watermark.strip())
    if found is None:
        return None
    share = float(found[1]) / (100 if found[2] else 1)
    free = total * (1 - share)
    bound = _bytes(headroom) if headroom else None
    return free if bound is None else min(free, bound)


def fullest(stats: Any, settings: Any) -> Finding:
    """Gives the finding on the fullest disk.

    Args:
        stats: the reply of `_nodes/stats/fs`.
        settings: the reply of `_cluster/settings`, flat, with defaults.
    """
    flat: dict[str, Any] = {}
    for part in ("defaults", "persistent", "transient"):
        flat |= (settings or {}).get(part, {})
    if str(flat.get(_PREFIX + "threshold_enabled", "true")).lower() == "false":
        return warning("the cluster doesn't watch its disks (disk.threshold_enabled is false)")
    nodes = [
        (node["fs"]["total"]["available_in_bytes"] / node["fs"]["total"]["total_in_bytes"], node)
        for node in (stats or {}).get("nodes", {}).values()
        if node.get("fs", {}).get("total", {}).get("total_in_bytes")
    ]
    if not nodes:
        return not_tried("the cluster tells nothing about its disks")
    share, node = min(nodes, key=lambda each: each[0])
    disk = node["fs"]["total"]
    gib = disk["available_in_bytes"] / 2**30
    text = f"the fullest, of node {node.get('name')}, is {1 - share:.0%} full ({gib:.1f} GiB free)"
    for name in ("flood_stage", "high", "low"):
        setting = flat.get(f"{_PREFIX}watermark.{name}")
        free = must_stay_free(
            str(setting), flat.get(f"{_PREFIX}watermark.{name}.max_headroom"), disk["total_in_bytes"]
        )
        if setting is None or free is None or disk["available_in_bytes"] >= free:
            continue
        if name == "flood_stage":
            message = f"{text}, beyond the flood stage ({setting}): its indices are read-only. Make room."
            return failed(PeerError(message))
        flood = flat.get(f"{_PREFIX}watermark.flood_stage")
        return warning(
            f"{text}, beyond the {name} watermark ({setting}); at the flood stage ({flood}) its indices become read-only"
        )
    return fine(text)
