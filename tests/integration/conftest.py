"""What the integration tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import SharedAws, SharedElasticsearch
from tests.tools.pipeline import Pipeline


@pytest.fixture
def pipeline(
    tmp_path: Path, elasticsearch: SharedElasticsearch, aws: SharedAws, unique_name: str
) -> Iterator[Pipeline]:
    """Both jobs, not yet started, on a stream of two shards of their own."""
    running = Pipeline(tmp_path, elasticsearch, aws, unique_name)
    try:
        yield running
    finally:
        running.close()
