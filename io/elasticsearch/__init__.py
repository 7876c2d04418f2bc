"""`io/elasticsearch` writes event batches to Elasticsearch in bulks.

- `options`: every option, with its bounds.      - `sink`: `WriteToElasticsearch`.
- `bulk`: lines, bodies and replies (pure).        - `writer`: rounds of bulks until every document is settled.
- `cluster`: reaches the cluster, and tries it before a job starts.    - `report`: what became of the documents.

The names below load when they are first used, so that a job's `--help` needs no Beam.
"""

from typing import TYPE_CHECKING

from penstock.transforms.lazy import lazily

if TYPE_CHECKING:
    from penstock.io.elasticsearch._amazon import data_access_policy
    from penstock.io.elasticsearch._dialects import ELASTICSEARCH, OPENSEARCH, Dialect
    from penstock.io.elasticsearch.cluster._roles import as_opensearch, installs, needed_role
    from penstock.io.elasticsearch.cluster.preflight import (
        dialect_at,
        iam_statements,
        prepare,
        require_cluster,
        trials,
    )
    from penstock.io.elasticsearch.cluster.signing import principal_of
    from penstock.io.elasticsearch.options import ElasticsearchOptions
    from penstock.io.elasticsearch.sink import WriteToElasticsearch

__all__ = [
    "ELASTICSEARCH",
    "OPENSEARCH",
    "Dialect",
    "ElasticsearchOptions",
    "WriteToElasticsearch",
    "as_opensearch",
    "data_access_policy",
    "dialect_at",
    "iam_statements",
    "installs",
    "needed_role",
    "prepare",
    "principal_of",
    "require_cluster",
    "trials",
]

__getattr__ = lazily(
    __name__,
    {
        "ELASTICSEARCH": "_dialects",
        "OPENSEARCH": "_dialects",
        "Dialect": "_dialects",
        "ElasticsearchOptions": "options",
        "WriteToElasticsearch": "sink",
        "as_opensearch": "cluster._roles",
        "data_access_policy": "_amazon",
        "dialect_at": "cluster.preflight",
        "iam_statements": "cluster.preflight",
        "installs": "cluster._roles",
        "needed_role": "cluster._roles",
        "prepare": "cluster.preflight",
        "principal_of": "cluster.signing",
        "require_cluster": "cluster.preflight",
        "trials": "cluster.preflight",
    },
)
