"""`_roles` says which privileges the options need, as a role that can be pasted. Pure."""

import re
from typing import Any

from penstock.io.elasticsearch._dialects import ELASTICSEARCH, Dialect
from penstock.io.elasticsearch.options import ElasticsearchOptions

__all__ = ["index_pattern", "needed_role"]


def needed_role(options: ElasticsearchOptions, dialect: Dialect = ELASTICSEARCH) -> dict[str, Any]:
    """Gives the least role for these options, as `PUT _security/role/NAME` takes it."""
    create, configure = (
        ("create_doc", "auto_configure") if dialect.fine_privileges else ("create", "create_index")
    )
    cluster = []
    if options.manage_template or options.template:
        cluster.append("manage_index_templates")
        if options.ilm_policy and options.ilm_enabled != "false":
            cluster.append("read_ilm")
    if options.sniffing:
        cluster.append("monitor")
    needed = {"create": create, "index": "index", "update": "index", "delete": "delete"}
    indices = [
        {
            "names": [index_pattern(options)],
            "privileges": [needed.get(options.action, "write"), configure],
        }
    ]
    if cluster and options.ilm_rollover_alias:
        indices.append({"names": [f"{options.ilm_rollover_alias}-*"], "privileges": ["manage"]})
    return {"cluster": cluster, "indices": indices}


def index_pattern(options: ElasticsearchOptions) -> str:
    """Gives the indices that the options write to, as a pattern."""
    return re.sub(r"\*+", "*", re.sub(r"%\{[^}]*\}", "*", options.target))
