"""`lifecycle` looks for the policy that rolls indices over and deletes them: ILM's or ISM's.

An ILM policy is named by the index template. An ISM policy names the indices itself, in its `ism_template`: a new index
no longer gets one from its template.

Sources: https://docs.opensearch.org/latest/im-plugin/ism/policies/ and
https://docs.aws.amazon.com/opensearch-service/latest/developerguide/ism.html
"""

import logging
from typing import Any

from penstock.io.elasticsearch._dialects import ELASTICSEARCH, Dialect, offers_no
from penstock.io.elasticsearch.cluster.client import Client, explain
from penstock.io.elasticsearch.options import ElasticsearchOptions
from penstock.io.errors import NotFound, PeerError

__all__ = ["begin_rollover", "cover", "has_ilm", "ism_policy"]

_LOGGER = logging.getLogger(__name__)


def has_ilm(client: Client, options: ElasticsearchOptions, dialect: Dialect = ELASTICSEARCH) -> bool:
    """Whether the template names the policy of `--ilm_policy`: it is asked for, and the server has ILM.

    Raises:
        AccessDenied: the privilege `read_ilm` is missing.
        PeerError: there is no such policy, or no ILM where `--ilm_enabled true` asks for it.
    """
    if options.ilm_enabled == "false" or not options.ilm_policy:
        return False
    status, reply = 404, None
    if dialect.lifecycle == "ilm":
        status, reply = client.call("GET", f"/_ilm/policy/{options.ilm_policy}")
    if status == 200:
        return True
    if status == 404 and isinstance(reply, dict) and "resource_not_found" in str(reply):
        message = f"--ilm_policy {options.ilm_policy}: no such policy in Elasticsearch at {client.where}."
        raise PeerError(message)
    if status in (401, 403) and not offers_no(status, reply):
        raise explain(status, reply, options, client.where, f"read the ILM policy {options.ilm_policy}")
    if options.ilm_enabled == "true":
        message = f"--ilm_enabled true: {dialect} at {client.where} has no ILM ({status})."
        raise PeerError(message)
    return False


def ism_policy(client: Client, options: ElasticsearchOptions, dialect: Dialect) -> dict[str, Any] | None:
    """Gives the policy of `--ism_policy` as the server tells it; None where none is asked for.

    Raises:
        AccessDenied: the permission to read it is missing.
        NotFound: there is no such policy.
        PeerError: the server has no ISM.
    """
    if options.ism_policy is None:
        return None
    doing = f"read the ISM policy {options.ism_policy}"
    status, reply = client.call("GET", _ism(options, dialect))
    if status == 200 and isinstance(reply, dict) and isinstance(reply.get("policy"), dict):
        return reply
    if status == 404:
        message = f"--ism_policy {options.ism_policy}: {dialect} at {client.where} has no such policy."
        raise NotFound(message)
    if offers_no(status, reply):
        message = f"--ism_policy {options.ism_policy}: {dialect} at {client.where} has no ISM."
        raise PeerError(message)
    raise explain(status, reply, options, client.where, doing, dialect)


def covers(policy: dict[str, Any], patterns: list[str]) -> bool:
    """Whether a policy already names all these patterns."""
    named = {name for each in _templates(policy) for name in each.get("index_patterns", ())}
    return named.issuperset(patterns)


def cover(
    client: Client,
    options: ElasticsearchOptions,
    dialect: Dialect,
    policy: dict[str, Any],
    patterns: list[str],
    priority: int,
) -> None:
    """Adds the patterns to the policy's `ism_template`, unless they are there. It changes nothing else in the policy.

    Raises:
        PenstockError: the server refuses it, or somebody else changes the policy in the same moment.
    """
    if covers(policy, patterns):
        return
    templates = [*_templates(policy), {"index_patterns": patterns, "priority": priority}]
    changed = {name: value for name, value in policy["policy"].items() if name != "policy_id"}
    target = f"{_ism(options, dialect)}?if_seq_no={policy.get('_seq_no')}&if_primary_term={policy.get('_primary_term')}"
    status, reply = client.call("PUT", target, {"policy": {**changed, "ism_template": templates}})
    if status != 200:
        doing = f"let the ISM policy {options.ism_policy} manage {', '.join(patterns)}"
        raise explain(status, reply, options, client.where, doing, dialect)
    _LOGGER.info("the ISM policy %s manages new indices %s", options.ism_policy, ", ".join(patterns))


def _ism(options: ElasticsearchOptions, dialect: Dialect) -> str:
    return f"/{dialect.plugins}/_ism/policies/{options.ism_policy}"


def _templates(policy: dict[str, Any]) -> list[dict[str, Any]]:
    """Gives a policy's templates: a list, or before 1.3 one object."""
    found = policy["policy"].get("ism_template") or []
    return [found] if isinstance(found, dict) else list(found)


def begin_rollover(client: Client, options: ElasticsearchOptions, alias: str) -> None:
    """Makes the first index of the rollover alias, unless the alias is there."""
    status, _ = client.call("HEAD", f"/_alias/{alias}")
    if status == 200:
        return
    first = f"{alias}-{options.ilm_pattern}"
    status, reply = client.call("PUT", f"/{first}", {"aliases": {alias: {"is_write_index": True}}})
    if status != 200 and "resource_already_exists" not in str(reply):
        raise explain(status, reply, options, client.where, f"create {first}")
