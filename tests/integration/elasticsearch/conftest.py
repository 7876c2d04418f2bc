"""The order of the tests on search servers."""

import pytest


@pytest.hookimpl(trylast=True)  # pytest itself keeps only those together that are parametrized alike
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests on one search server stand together, in the order of the file, so that each server starts once."""

    def server_of(item: pytest.Item) -> str:
        callspec = getattr(item, "callspec", None)
        return str(callspec.params.get("search_server", "")) if callspec else ""

    places = [place for place, item in enumerate(items) if server_of(item)]
    servers = list(dict.fromkeys(server_of(items[place]) for place in places))
    together = sorted(
        (items[place] for place in places),
        key=lambda item: (servers.index(server_of(item)), item.location[1] or 0),
    )
    for place, item in zip(places, together, strict=True):
        items[place] = item
