"""These fixtures serve the tests of the status page in a real browser."""

import os
from pathlib import Path

import pytest

from tests.tools.machine.browser import chromium


@pytest.fixture(scope="session")
def browser():
    with chromium() as made:
        yield made


@pytest.fixture
def keep(tmp_path):
    """Where the browser's screenshots go: `PENSTOCK_SCREENSHOTS`, else nowhere that lasts."""
    folder = Path(os.environ.get("PENSTOCK_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
