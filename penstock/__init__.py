"""Penstock moves logs from Beats through Kinesis into Elasticsearch, as Apache Beam jobs.

- `penstock.transforms`: events in memory.    - `penstock.io`: the connectors.    - `penstock.pipelines`: the jobs.
- `penstock.testing`: transforms and pipelines tried in memory.
"""

from typing import Any

__all__ = ["__version__"]


def __getattr__(name: str) -> Any:
    if (
        name == "__version__"
    ):  # asked of the installation, and only when somebody asks: the look-up reads files
        from importlib.metadata import version

        return version("penstock-beam")
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
