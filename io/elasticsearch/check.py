"""What is looked at before the pipeline starts: reachable, which version, credentials and privileges."""

import re
from typing import Any

from penstock.io.elasticsearch.client import Client, NoAnswer, explain, unreachable
from penstock.io.elasticsearch.options import ElasticsearchOptions
from penstock.io.elasticsearch.template import install
from penstock.io.errors import AccessDenied, PeerError

__all__ = ["check"]

SUPPORTED = ("8", "9")
"""Major versions that `compatible-with=8` speaks to."""


def check(options: ElasticsearchOptions) -> str:
    """Makes sure that the cluster answers, is a version we speak to, and lets us write; installs the template.

    Returns:
        The server's version.

    Raises:
        Unreachable: no node answers.
        AccessDenied: the credentials are refused, or lack a privilege; the text names it.
        PeerError: something else answers, or a version that we don't speak to.
    """
    client = Client(options)
    try:
        version = _version(client, options)
        if version.partition(".")[0] not in SUPPORTED:
            message = (
                f"Elasticsearch at {client.where} is version {version}; this release speaks to "
                f"{' and '.join(SUPPORTED)}."
            )
            raise PeerError(message)
        if options.manage_template or options.template:
            install(client, options)
        _check_privileges(client, options)
        return version
    except NoAnswer as error:
        raise unreachable(error, client.where, "write to Elasticsearch") from error
    finally:
        client.close()


def _version(client: Client, options: ElasticsearchOptions) -> str:
    status, reply = client.call("GET", "/")
    if status == 405:  # a server without its root page (the integration-test distribution)
        status, reply = client.call("GET", "/_nodes/_local?filter_path=nodes.*.version")
        nodes = reply.get("nodes", {}) if isinstance(reply, dict) else {}
        reply = {"version": {"number": next((node.get("version") for node in nodes.values()), None)}}
    if status == 403:
        return "8"  # may write, but not look (cluster:monitor/main); the privileges are asked for next
    if status != 200:
        raise explain(status, reply, options, client.where, "write to Elasticsearch")
    version = reply.get("version", {}).get("number") if isinstance(reply, dict) else None
    if not isinstance(version, str) or not re.match(r"\d+\.", version) or _is_other_product(reply):
        message = f"what answers at {client.where} is not Elasticsearch. Check --hosts and --path."
        raise PeerError(message)
    return version


def _is_other_product(reply: Any) -> bool:
    return "distribution" in reply.get("version", {})  # OpenSearch names itself there


def _check_privileges(client: Client, options: ElasticsearchOptions) -> None:
    """Asks for the privileges on the index, where its name is known and the server has security."""
    if not (options.user or options.api_key) or "%{" in options.target.replace("%{+", ""):
        return
    index = re.sub(r"%\{\+[^}]*\}", "*", options.target)
    wanted = _privileges(options)
    question = {"index": [{"names": [index], "privileges": wanted}]}
    status, reply = client.call("POST", "/_security/user/_has_privileges", question)
    if status in (400, 404, 405):
        return  # a server without security
    if status != 200 or not isinstance(reply, dict):
        raise explain(status, reply, options, client.where, "ask for our privileges")
    if not reply.get("has_all_requested"):
        granted = reply.get("index", {}).get(index, {})
        missing = [name for name in wanted if not granted.get(name)]
        who = options.user or "the API key"
        message = (
            f"cannot write to {index} in Elasticsearch at {client.where}: {who} lacks the index "
            f"privilege{'s' * (len(missing) > 1)} {', '.join(missing)}. Grant it in the role; see docs/elasticsearch.md."
        )
        raise AccessDenied(message)


def _privileges(options: ElasticsearchOptions) -> list[str]:
    needed = {"create": "create_doc", "index": "index", "update": "index", "delete": "delete"}
    return [needed.get(options.action, "write"), "auto_configure"]
