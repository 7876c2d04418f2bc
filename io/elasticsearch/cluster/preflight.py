"""`preflight` tries the server's version, privileges and disks before the start; `penstock check` tries more.

Every trial makes a few requests that only read. The template is installed by `prepare`.
"""

import contextlib
import dataclasses
import logging
from collections.abc import Callable, Iterator
from typing import Any

from penstock.io.elasticsearch._amazon import statements
from penstock.io.elasticsearch._dialects import (
    ELASTICSEARCH,
    SERVERLESS,
    SUPPORTED,
    Dialect,
    dialect_of,
    offers_no,
    plugin_denies,
)
from penstock.io.elasticsearch.cluster._disk import fullest
from penstock.io.elasticsearch.cluster._roles import index_pattern, installs, needed_role
from penstock.io.elasticsearch.cluster.client import Client, NoAnswer, explain, is_amazons, unreachable
from penstock.io.elasticsearch.cluster.collection import collection_trial
from penstock.io.elasticsearch.cluster.lifecycle import has_ilm, ism_policy
from penstock.io.elasticsearch.cluster.template import index_template, install, template_path
from penstock.io.elasticsearch.options import ElasticsearchOptions
from penstock.io.errors import AccessDenied, NotFound, PeerError
from penstock.io.preflight.iam import Arns, Statement, statement
from penstock.io.preflight.trials import Finding, Trial, failed, fine, not_tried, require_quick, warning

__all__ = ["dialect_at", "iam_statements", "needed_role", "prepare", "require_cluster", "trials"]

_LOGGER = logging.getLogger(__name__)
SERVER = "Elasticsearch"
PRIVILEGES = "Elasticsearch privileges"
_FLOODED = "index.blocks.read_only_allow_delete"
_NOBODYS = Arns()
_MONITOR = "the cluster privilege monitor"


def require_cluster(options: ElasticsearchOptions) -> str:
    """Makes sure that the cluster answers, is a version we speak to, and lets us write; installs the template.

    Returns:
        The server's version; "" where the server does not tell it.

    Raises:
        Unreachable: no node answers.
        AccessDenied: the credentials are refused, or lack a privilege; the text names it.
        PeerError: something else answers, or a version that is not supported.
    """
    cluster = _Cluster(options)
    require_quick(cluster.trials())
    prepare(options)
    return cluster.dialect.version


def dialect_at(options: ElasticsearchOptions) -> Dialect:
    """Asks the server what it is. Raises `PenstockError` where none answers."""
    with _connected(options, "write to Elasticsearch") as client:
        return _found(client, options)


def trials(options: ElasticsearchOptions, arns: Arns | None = None) -> list[Trial]:
    """Gives the trials of version and privileges (quick), template, pipeline, health, disks and write blocks.

    Args:
        options: the options of the sink.
        arns: how the account's resources are named, for the policy that a denial prints.
    """
    return _Cluster(options, arns or _NOBODYS).trials()


def iam_statements(options: ElasticsearchOptions, arns: Arns) -> tuple[Statement, ...]:
    """Gives the IAM statements that signed requests need; none where none are signed."""
    if not options.signs_for:
        return ()
    if options.elasticsearch_role_arn:
        return (statement("SearchRole", "sts:AssumeRole", options.elasticsearch_role_arn),)
    name = options.amazon.name if options.amazon else ""
    there = dataclasses.replace(arns, region=options.signing.region)
    return statements(options.signs_for, name, there, puts=installs(options))


def prepare(options: ElasticsearchOptions) -> None:
    """Logs which server was found, and installs the index template where the options ask for it.

    Raises:
        PenstockError: it can't be installed.
    """
    with _connected(options, "write to Elasticsearch") as client:
        dialect = _found(client, options)
        differences = f": {dialect.differences}" if dialect.differences else ""
        _LOGGER.info("writing to %s at %s%s", dialect, client.where, differences)
        if installs(options):
            install(client, options, dialect)


@contextlib.contextmanager
def _connected(options: ElasticsearchOptions, doing: str) -> Iterator[Client]:
    client = Client(options)
    try:
        yield client
    except NoAnswer as error:
        raise unreachable(error, client.where, doing) from error
    finally:
        client.close()


class _Cluster:
    """Holds the trials of one cluster; `dialect` is known after the first."""

    def __init__(self, options: ElasticsearchOptions, arns: Arns = _NOBODYS) -> None:
        self._arns = arns
        self.dialect = ELASTICSEARCH
        self._options = options

    def trials(self) -> list[Trial]:
        options = self._options
        made = [
            Trial(SERVER, self._of(self._server), quick=True, statements=iam_statements(options, self._arns)),
            Trial(PRIVILEGES, self._of(self._privileges), quick=True, after=(SERVER,)),
        ]
        if options.serverless and options.amazon:
            made.append(collection_trial(options))
        if installs(options):
            made.append(Trial("index template", self._of(self._template), after=(SERVER,)))
        if options.pipeline and "%{" not in options.pipeline:
            made.append(Trial("ingest pipeline", self._of(self._pipeline), quick=True, after=(SERVER,)))
        further = (("health", self._health), ("disks", self._disks), ("write blocks", self._blocks))
        for name, run in () if options.serverless else further:
            made.append(Trial(f"Elasticsearch {name}", self._of(run), after=(SERVER,)))
        return made

    def _of(self, run: Callable[[Client], Finding]) -> Callable[[], Finding]:
        def connected() -> Finding:
            with _connected(self._options, "write to Elasticsearch") as client:
                return run(client)

        return connected

    # -- quick -----------------------------------------------------------------------------------------

    def _server(self, client: Client) -> Finding:
        self.dialect = dialect = _found(client, self._options)
        if not dialect.version and dialect.nodes:
            return fine(
                f"{dialect} answers at {client.where}; its version is not told without the cluster privilege monitor "
                "(OpenSearch: cluster:monitor/main)"
            )
        if not dialect.supported:
            message = f"{dialect} answers at {client.where}; this release speaks to {SUPPORTED}."
            raise PeerError(message)
        if self._options.writes_data_stream and not dialect.data_streams:
            message = (
                f"{dialect} at {client.where} has no data streams. Give --index instead of --data_stream."
            )
            raise PeerError(message)
        differences = f": {dialect.differences}" if dialect.differences else ""
        text = f"{dialect} at {client.where}{differences}"
        return fine(text) if dialect.nodes else warning(f"{text}. {_twice(self._options)}")

    def _privileges(self, client: Client) -> Finding:
        """Asks for the privileges on the index, where its name is known and the server has security."""
        options = self._options
        if not options.authenticates and not options.signs_for:
            return fine("none asked for: no --user and no --api_key")
        if "%{" in options.target.replace("%{+", ""):
            return not_tried("events name their index: which, is known when they come")
        if not self.dialect.privileges:
            return self._roles(client)
        wanted = needed_role(options, self.dialect)
        question: dict[str, Any] = {"index": wanted["indices"]}
        if wanted["cluster"]:
            question["cluster"] = wanted["cluster"]
        status, reply = client.call("POST", self.dialect.privileges, question)
        if status == 404 or offers_no(status, reply):
            return fine("this server has no security")
        if status != 200 or not isinstance(reply, dict):
            raise explain(status, reply, options, client.where, "ask for our privileges", self.dialect)
        if reply.get("has_all_requested"):
            return fine(
                f"{', '.join(wanted['indices'][0]['privileges'])} on {wanted['indices'][0]['names'][0]}"
            )
        return _lacking(wanted, reply, options.user or "the API key", client.where)

    def _roles(self, client: Client) -> Finding:
        """Says who we are; OpenSearch tells anybody their own roles, and nobody's privileges."""
        why = f"{self.dialect.product} tells no privileges: the first bulk shows them"
        status, reply = client.call("GET", "/_plugins/_security/authinfo")
        if is_amazons(status, reply, self._options):
            raise explain(status, reply, self._options, client.where, "ask who we are", self.dialect)
        if (status == 404 or offers_no(status, reply)) and self.dialect.nodes:
            return fine("this server has no security")
        if status != 200 or not isinstance(reply, dict):
            return not_tried(why)
        roles = reply.get("roles") or ["none"]
        return not_tried(f"{why}. {reply.get('user_name')} has the roles {', '.join(map(str, roles))}")

    # -- only `penstock check` -------------------------------------------------------------------------

    def _template(self, client: Client) -> Finding:
        options = self._options
        index_template(options)  # --template's file
        asked = options.ilm_policy and options.ilm_enabled != "false"
        if ism_policy(client, options, self.dialect):
            ilm = f", and the ISM policy {options.ism_policy} manages its indices"
        elif has_ilm(client, options, self.dialect):
            ilm = f", with the policy {options.ilm_policy}"
        else:
            ilm = "; there is no ILM, so it names no policy" if asked else ""
        status, reply = client.call("GET", template_path(options, self.dialect))
        if status == 403 and plugin_denies(reply):  # so will the job be, which looks first
            doing = f"install the index template {options.template_name}"
            raise explain(status, reply, options, client.where, doing, self.dialect)
        if status == 404:
            return fine(f"{options.template_name} is not there yet; the job installs it{ilm}")
        if status != 200:
            return not_tried(f"{options.template_name} can't be looked at ({status})")
        if options.template_overwrite:
            return warning(
                f"{options.template_name} is there, and the job replaces it (--template_overwrite)"
            )
        return fine(f"{options.template_name} is there and stays")

    def _pipeline(self, client: Client) -> Finding:
        name = self._options.pipeline
        status, reply = client.call("GET", f"/_ingest/pipeline/{name}")
        if status == 404:
            message = (
                f"--pipeline {name}: {self.dialect.product} at {client.where} has no such ingest pipeline."
            )
            raise NotFound(message)
        if status != 200:
            return not_tried(
                f"{name} can't be looked at ({status}: needs the cluster privilege read_pipeline)"
            )
        if _drops(reply):
            return warning(
                f"{name} has a drop processor: what it drops counts as written, and is stored nowhere"
            )
        return fine(f"{name} is there")

    def _health(self, client: Client) -> Finding:
        status, reply = client.call("GET", "/_cluster/health?timeout=5s")
        if status != 200 or not isinstance(reply, dict):
            return _only_here(status, reply, _MONITOR)
        nodes = reply.get("number_of_data_nodes")
        text = f"{reply.get('status')}, {nodes} data node{'s' * (nodes != 1)}"
        if reply.get("status") == "red":
            return warning(
                f"{text}: some indices have no primary shard; bulks to those are tried again until they have"
            )
        return fine(text)

    def _disks(self, client: Client) -> Finding:
        status, stats = client.call("GET", "/_nodes/stats/fs?filter_path=nodes.*.name,nodes.*.fs.total")
        known, settings = client.call("GET", "/_cluster/settings?include_defaults=true&flat_settings=true")
        if status != 200 or known != 200:
            denied = stats if status != 200 else settings
            return _only_here(max(status, known), denied, _MONITOR)
        return fullest(stats, settings)

    def _blocks(self, client: Client) -> Finding:
        pattern = index_pattern(self._options)
        target = f"/{pattern}/_settings/index.blocks.*?flat_settings=true&ignore_unavailable=true"
        status, reply = client.call("GET", target)
        if status in (401, 403) or not isinstance(reply, dict):
            return _only_here(status, reply, "the index privilege view_index_metadata")
        if status != 200:
            return fine(f"there is no index {pattern} yet")
        blocks = {
            name: sorted(block for block, on in each.get("settings", {}).items() if str(on).lower() == "true")
            for name, each in sorted(reply.items())
        }
        blocked = [name for name, found in blocks.items() if found]
        if not blocked:
            return fine(f"none on {pattern}")
        last = blocks[blocked[-1]][-1]
        what_then = (
            "bulks to them are tried again, and Elasticsearch lifts it once there is room"
            if last == _FLOODED
            else f"their documents are waited for {self._options.blocked_index_timeout:g} s, then become dead letters; "
            f'PUT {blocked[-1]}/_settings {{"{last}": null}} lifts it'
        )
        return warning(
            f"{len(blocked)} of the indices {pattern} refuse writes ({last}), such as {', '.join(blocked[-3:])}: {what_then}"
        )


def _twice(options: ElasticsearchOptions) -> str:
    """Says what a collection of Serverless means for replays; its type can't be asked for there."""
    if options.document_id == "none":
        return "With --document_id none, a replay stores its documents a second time"
    return "A time-series or vector collection refuses them: then the first bulk ends the job, and says --document_id none"


def _only_here(status: int, reply: Any, privilege: str) -> Finding:
    """Says what a trial lacks that the job doesn't need."""
    return not_tried(
        f"{status}: needs {plugin_denies(reply) or privilege}, which the job itself does without"
    )


def _drops(definition: Any) -> bool:
    """Whether a pipeline's definition has a drop processor anywhere."""
    if isinstance(definition, dict):
        return "drop" in definition or any(map(_drops, definition.values()))
    return isinstance(definition, list) and any(map(_drops, definition))


def _lacking(wanted: dict[str, Any], reply: dict[str, Any], who: str, where: str) -> Finding:
    """Gives the privileges that the reply of `_has_privileges` says are missing, as a line and as a role."""
    role: dict[str, Any] = {"cluster": [], "indices": []}
    told = []
    for each in wanted["indices"]:
        name = each["names"][0]
        granted = reply.get("index", {}).get(name, {})
        missing = [privilege for privilege in each["privileges"] if not granted.get(privilege)]
        if missing:
            role["indices"].append({"names": [name], "privileges": missing})
            told.append(f"the index privilege{'s' * (len(missing) > 1)} {', '.join(missing)} on {name}")
    role["cluster"] = [name for name in wanted["cluster"] if not reply.get("cluster", {}).get(name)]
    if role["cluster"]:
        told.append(f"the cluster privilege{'s' * (len(role['cluster']) > 1)} {', '.join(role['cluster'])}")
    message = (
        f"cannot write to {wanted['indices'][0]['names'][0]} in Elasticsearch at {where}: {who} lacks "
        f"{' and '.join(told)}. Grant it in the role; see docs/elasticsearch.md."
    )
    return failed(AccessDenied(message), role=role)


def _found(client: Client, options: ElasticsearchOptions) -> Dialect:
    if options.serverless:
        return SERVERLESS
    status, reply = client.root()
    if status not in (200, 403) or is_amazons(status, reply, options):
        raise explain(status, reply, options, client.where, "write to Elasticsearch")
    found = dialect_of(status, reply)
    if found is None:
        message = (
            f"what answers at {client.where} is no Elasticsearch and no OpenSearch. Check --hosts and --path."
        )
        raise PeerError(message)
    return found
