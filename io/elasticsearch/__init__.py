"""`io/elasticsearch` writes event batches to Elasticsearch in bulks.

- `options`: every option, with its bounds.      - `sink`: `WriteToElasticsearch`.
- `bulk`: lines, bodies and replies (pure).        - `writer`: rounds of bulks until every document is settled.
- `cluster`: reaches the cluster, and tries it before a job starts.    - `report`: what became of the documents.
"""

from penstock.io.elasticsearch.cluster._roles import as_opensearch, needed_role
from penstock.io.elasticsearch.cluster.preflight import has_data_streams, prepare, require_cluster, trials
from penstock.io.elasticsearch.options import ElasticsearchOptions
from penstock.io.elasticsearch.sink import WriteToElasticsearch

__all__ = [
    "ElasticsearchOptions",
    "WriteToElasticsearch",
    "as_opensearch",
    "has_data_streams",
    "needed_role",
    "prepare",
    "require_cluster",
    "trials",
]
