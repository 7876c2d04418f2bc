"""`io/elasticsearch` writes event batches to Elasticsearch in bulks.

- `options`: every option, with its bounds.      - `sink`: `WriteToElasticsearch`.
- `bulk`: lines, bodies and replies (pure).        - `writer`: rounds of bulks until every document is settled.
- `cluster`: reaches the cluster, and tries it before a job starts.    - `report`: what became of the documents.

The names below load when they are first used, so that a job's `--help` needs no Beam.
"""

from typing import TYPE_CHECKING

from penstock.transforms.lazy import lazily

if TYPE_CHECKING:
    from penstock.io.elasticsearch.cluster._roles import as_opensearch, needed_role
    from penstock.io.elasticsearch.cluster.preflight import (
        has_data_streams,
        iam_statements,
        prepare,
        require_cluster,
        trials,
    )
    from penstock.io.elasticsearch.options import ElasticsearchOptions
    from penstock.io.elasticsearch.sink import WriteToElasticsearch

__all__ = [
    "ElasticsearchOptions",
    "WriteToElasticsearch",
    "as_opensearch",
    "has_data_streams",
    "iam_statements",
    "needed_role",
    "prepare",
    "require_cluster",
    "trials",
]

__getattr__ = lazily(
    __name__,
    {
        "ElasticsearchOptions": "options",
        "WriteToElasticsearch": "sink",
        "as_opensearch": "cluster._roles",
        "has_data_streams": "cluster.preflight",
        "iam_statements": "cluster.preflight",
        "needed_role": "cluster._roles",
        "prepare": "cluster.preflight",
        "require_cluster": "cluster.preflight",
        "trials": "cluster.preflight",
    },
)
