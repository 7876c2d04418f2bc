"""`_roles` says which privileges the options need, as a role that can be pasted. Pure.

The need is told in Elasticsearch's words. OpenSearch's security plugin knows the same as actions of the server;
`as_opensearch` translates.

Source: https://docs.opensearch.org/latest/security/access-control/permissions/; what a bulk needs was tried on 2.19.1.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from penstock.io.elasticsearch._dialects import ELASTICSEARCH, Dialect
from penstock.io.elasticsearch.options import ElasticsearchOptions

__all__ = ["as_opensearch", "index_pattern", "installs", "needed_role", "role_to_read", "to_paste"]

_WRITE = "indices:data/write/"
_READ = "read"
_ACTIONS = {
    "create": [f"{_WRITE}index"],
    "create_doc": [f"{_WRITE}index"],
    "index": [f"{_WRITE}index", f"{_WRITE}update"],
    "delete": [f"{_WRITE}delete"],
    "write": [f"{_WRITE}index", f"{_WRITE}update", f"{_WRITE}delete"],
    _READ: ["indices:data/read/search", "indices:data/read/scroll*"],
    "auto_configure": ["create_index"],
    "create_index": ["create_index"],
    "monitor": ["cluster:monitor/nodes/info"],
    "manage_index_templates": ["indices:admin/index_template/get", "indices:admin/index_template/put"],
    "read_ilm": [],
    "manage_ism": ["cluster:admin/opendistro/ism/policy/get", "cluster:admin/opendistro/ism/policy/write"],
}
"""Elasticsearch's privilege -> OpenSearch's actions, or groups of them. Others have the same name there."""


def needed_role(options: ElasticsearchOptions, dialect: Dialect = ELASTICSEARCH) -> dict[str, Any]:
    """Gives the least role for these options, as `PUT _security/role/NAME` takes it."""
    create, configure = (
        ("create_doc", "auto_configure") if dialect.fine_privileges else ("create", "create_index")
    )
    cluster = []
    if installs(options):
        cluster.append("manage_index_templates")
        if options.ilm_policy and options.ilm_enabled != "false":
            cluster.append("read_ilm")
        if options.ism_policy:
            cluster.append("manage_ism")
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


def as_opensearch(role: Mapping[str, Any]) -> dict[str, Any]:
    """Gives the same role as `PUT _plugins/_security/api/roles/NAME` takes it."""
    reads = any(_READ in each["privileges"] for each in role["indices"])
    writes = any(each["privileges"] != [_READ] for each in role["indices"])
    return {
        "cluster_permissions": [
            "cluster:monitor/main",  # the page that tells which server it is
            *([f"{_WRITE}bulk"] if writes else []),
            *(["indices:data/read/scroll*"] if reads else []),
            *_actions(role["cluster"]),
        ],
        "index_permissions": [
            {
                "index_patterns": each["names"],
                "allowed_actions": [
                    *([] if each["privileges"] == [_READ] else [f"{_WRITE}bulk*"]),
                    *_actions(each["privileges"]),
                ],
            }
            for each in role["indices"]
        ],
    }


def role_to_read(index: str) -> dict[str, Any]:
    """Gives the least role that reads an index, page by page."""
    return {"cluster": [], "indices": [{"names": [index], "privileges": [_READ]}]}


def to_paste(
    name: str, role: Mapping[str, Any], user: str | None, dialect: Dialect, principal: str | None
) -> str:
    """Gives the two calls, in one line, that give an OpenSearch's user, or an IAM role, a role of that name."""
    who = json.dumps({"users": [user]} if user else {"backend_roles": [principal or "ROLE"]})
    api, told = f"{dialect.plugins}/_security/api", json.dumps(as_opensearch(role))
    return (
        f"PUT {api}/roles/{name} {told} and PUT {api}/rolesmapping/{name} {who} grant what these options need"
    )


def installs(options: ElasticsearchOptions) -> bool:
    """Whether the options ask for an index template."""
    return bool(options.manage_template or options.template)


def _actions(privileges: list[str]) -> list[str]:
    return [action for privilege in privileges for action in _ACTIONS.get(privilege, [privilege])]


def index_pattern(options: ElasticsearchOptions) -> str:
    """Gives the indices that the options write to, as a pattern."""
    return re.sub(r"\*+", "*", re.sub(r"%\{[^}]*\}", "*", options.target))
