"""`chosen` picks the search server of a demonstration: the smallest download that serves it well.

The whole Elasticsearch 9.4.3 is 947 MB to download. The tests need it, for security, ingest and Painless; a demonstration
only stores and searches.
"""

import functools
from collections.abc import Callable

from local.servers.elasticsearch_server import ElasticsearchServer
from local.servers.java import find_java_home
from local.servers.search.fetch import find_search_server
from local.servers.search.kinds import KINDS
from local.servers.search.server import Elasticsearch8, SearchServer
from local.terminal import Progress

__all__ = ["find_server"]

_KINDS = {
    "elasticsearch": ("elasticsearch-8.19.21",),
    "opensearch": ("opensearch-3.9.0", "opensearch-2.19.6"),
}


def find_server(product: str, progress: Progress) -> Callable[..., ElasticsearchServer]:
    """Gives the class of a server, which takes the folder and further settings; downloads it if needed.

    Args:
        product: `elasticsearch` or `opensearch`. Of several versions, the first for which there is a Java.
        progress: shows the download.

    Raises:
        LocalError: this machine lacks something (all of it is named), or the download failed.
    """
    kinds = [KINDS[name] for name in _KINDS[product]]
    kind = next((each for each in kinds if find_java_home(*each.java)[0]), kinds[0])
    home, java_home = find_search_server(kind, progress)
    if kind.launched:
        return functools.partial(Elasticsearch8, home, java_home)
    return functools.partial(SearchServer, kind, home, java_home)
