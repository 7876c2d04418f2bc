"""Writes the table of servers in `docs/elasticsearch.md` from `docs/search_servers.json`: run it after the servers' tests.

The tests of `tests/integration/elasticsearch/test_search_servers.py` write that file, from what real servers did:
`PENSTOCK_WRITE_TABLE=1 ./run_local.sh test tests/integration/elasticsearch/test_search_servers.py -n 0`. Then run
`.venv/bin/python -P docs/make_search_servers.py`.
"""

import json
from pathlib import Path

PAGE = Path(__file__).with_name("elasticsearch.md")
RESULTS = Path(__file__).with_name("search_servers.json")
BEGINS, ENDS = "<!-- servers: made by docs/make_search_servers.py -->\n", "<!-- end of servers -->\n"


def page(text: str) -> str:
    """The page, with the table made anew."""
    before, _, rest = text.partition(BEGINS)
    _, _, after = rest.partition(ENDS)
    return before + BEGINS + table() + ENDS + after


def table() -> str:
    """One row per feature, one column per server."""
    results = json.loads(RESULTS.read_text())
    results = {name: results[name] for name in sorted(results, key=_order)}
    features = list(dict.fromkeys(feature for found in results.values() for feature in found))
    names = [
        name.replace("elasticsearch-", "Elasticsearch ").replace("opensearch-", "OpenSearch ")
        for name in results
    ]
    rows = [["", *names], ["---"] * (len(names) + 1)]
    rows += [
        [feature, *(found.get(feature, "not tried") for found in results.values())] for feature in features
    ]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _order(name: str) -> tuple[bool, list[int]]:
    """OpenSearch first; then by version, Serverless last of its kind."""
    product, _, version = name.partition("-")
    return product != "opensearch", [int(number) for number in version.split(".")] if version[
        0
    ].isdigit() else [99]


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
