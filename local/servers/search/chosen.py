"""`chosen` makes the search server of a demonstration, of the kind that `smallest` names."""

import functools
from collections.abc import Callable

from local.servers.elasticsearch_server import ElasticsearchServer
from local.servers.search.fetch import find_search_server, smallest
from local.servers.search.server import Elasticsearch8, SearchServer
from local.terminal import Progress

__all__ = ["find_server"]


def find_server(product: str, progress: Progress) -> Callable[..., ElasticsearchServer]:
    """Gives the class of a server, which takes the folder and further settings; downloads it if needed.

    Args:
        product: `elasticsearch` or `opensearch`.
        progress: shows the download.

    Raises:
        LocalError: this machine lacks something (all of it is named), or the download failed.
    """
    kind = smallest(product)
    home, java_home = find_search_server(kind, progress)
    if kind.launched:
        return functools.partial(Elasticsearch8, home, java_home)
    return functools.partial(SearchServer, kind, home, java_home)
