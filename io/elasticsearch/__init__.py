"""`elasticsearch` writes event batches to Elasticsearch in bulks.

- `options`: every option, with its bounds.      - `sink`: `WriteToElasticsearch`.
- `cluster`: how it is reached, and what is looked at before a job runs. - `client`: the only file that talks to a server.
- `_actions`, `_bulk`: lines, bodies and replies (pure). - `writer`: rounds of bulks until all is settled.
- `template`: the index template, installed on request.
"""

from penstock.io.elasticsearch.cluster.preflight import needed_role, prepare, require_cluster, trials
from penstock.io.elasticsearch.options import ElasticsearchOptions
from penstock.io.elasticsearch.sink import WriteToElasticsearch

__all__ = [
    "ElasticsearchOptions",
    "WriteToElasticsearch",
    "needed_role",
    "prepare",
    "require_cluster",
    "trials",
]
