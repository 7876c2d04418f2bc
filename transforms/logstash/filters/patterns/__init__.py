"""`patterns` holds the shipped grok patterns: `legacy/` with flat names, `ecs/` with those that ECS names otherwise.

Each file holds `NAME PATTERN` lines. The ECS set is the legacy set with the patterns of `ecs/` over it.
"""

import functools
import importlib.resources
from collections.abc import Mapping
from types import MappingProxyType

from penstock.transforms.logstash.filters.patterns._expand import read_patterns

__all__ = ["pattern_set"]


@functools.cache
def pattern_set(*, ecs: bool) -> Mapping[str, str]:
    """Gives the patterns by name.

    Args:
        ecs: whether the fields have the names of the Elastic Common Schema.
    """
    patterns = dict(pattern_set(ecs=False)) if ecs else {}
    folder = importlib.resources.files(__name__).joinpath("ecs" if ecs else "legacy")
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        patterns |= read_patterns(file.read_text(encoding="utf-8").splitlines())
    return MappingProxyType(patterns)
