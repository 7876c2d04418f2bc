"""`results` keeps results of the sink on real servers as `docs/search_servers.json`, for the documentation's table."""

import json
import os
from pathlib import Path

RESULTS = Path(__file__).parents[3] / "docs" / "search_servers.json"
WRITE = "PENSTOCK_WRITE_TABLE"
"""With this in the environment, a run writes what it finds instead of comparing."""


def require_told(server: str, feature: str, found: str) -> None:
    """Makes sure that the documentation says what was found."""
    kept = json.loads(RESULTS.read_text())
    if os.environ.get(WRITE):
        kept.setdefault(server, {})[feature] = found
        RESULTS.write_text(json.dumps(kept, indent=1) + "\n")
    assert kept[server][feature] == found, f"run with {WRITE}=1, then docs/make_search_servers.py"
