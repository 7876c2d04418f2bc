"""The sink's features on every real search server that can be had, one server at a time.

What each feature gave is kept in docs/search_servers.json, which the documentation's table is made from. With
`PENSTOCK_WRITE_TABLE=1` a run writes what it finds there instead of comparing.
"""

import pytest

from tests import servers
from tests.tools.search.features import FEATURES
from tests.tools.search.results import require_told
from tests.tools.search.sink import Sink

IN_CI = ("opensearch-2.19.6", "opensearch-3.9.0", "elasticsearch-6.6.0")
FULL = ("elasticsearch-6.8.23", "elasticsearch-7.17.29", "elasticsearch-8.19.21", "elasticsearch-9.4.3")

pytestmark = pytest.mark.xdist_group("search")  # one worker runs them all, so one server at a time


@pytest.fixture(
    scope="module", params=[*IN_CI, *(pytest.param(each, marks=pytest.mark.full) for each in FULL)]
)
def search_server(request):
    with servers.private_search_server(request.param) as server:
        yield request.param, server


@pytest.mark.parametrize("feature", FEATURES)
def test_the_sink_does_with_a_server_what_the_documentation_says(search_server, feature, unique_name):
    name, server = search_server
    require_told(name, feature, FEATURES[feature](Sink(server.url, unique_name)))
