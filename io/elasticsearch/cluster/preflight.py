"""`preflight` tries Elasticsearch's version, privileges and disks before the start; `penstock check` tries more.

Every trial makes a few requests that only read. The template is installed by `prepare`.
"""

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any

from penstock.io.elasticsearch.cluster._disk import fullest
from penstock.io.elasticsearch.cluster.client import Client, NoAnswer, explain, unreachable
from penstock.io.elasticsearch.cluster.template import has_ilm, index_template, install
from penstock.io.elasticsearch.options import ElasticsearchOptions
from penstock.io.errors import AccessDenied, NotFound, PeerError
from penstock.io.preflight.trials import Finding, Trial, failed, fine, not_tried, require_quick, warning

__all__ = ["needed_role", "prepare", "require_cluster", "trials"]

SUPPORTED = ("8", "9")
"""Major versions that understand `compatible-with=8`."""

SERVER = "Elasticsearch"
PRIVILEGES = "Elasticsearch privileges"
_FLOODED = "index.blocks.read_only_allow_delete"
_ONLY_HERE = "needs the cluster privilege monitor, which the job itself does without"


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
    return cluster.version


def trials(options: ElasticsearchOptions) -> list[Trial]:
    """Gives the trials of version and privileges (quick), template, pipeline, health, disks and write blocks."""
    return _Cluster(options).trials()


def prepare(options: ElasticsearchOptions) -> None:
    """Installs the index template where the options ask for it.

    Raises:
        PenstockError: it can't be installed.
    """
    if options.manage_template or options.template:
        with _connected(options, "install the index template") as client:
            install(client, options)


def needed_role(options: ElasticsearchOptions) -> dict[str, Any]:
    """Gives the least role for these options, as `PUT _security/role/NAME` takes it."""
    cluster = []
    if options.manage_template or options.template:
        cluster.append("manage_index_templates")
        if options.ilm_policy and options.ilm_enabled != "false":
            cluster.append("read_ilm")
    if options.sniffing:
        cluster.append("monitor")
    needed = {"create": "create_doc", "index": "index", "update": "index", "delete": "delete"}
    indices = [
        {
            "names": [_index_pattern(options)],
            "privileges": [needed.get(options.action, "write"), "auto_configure"],
        }
    ]
    if cluster and options.ilm_rollover_alias:
        indices.append({"names": [f"{options.ilm_rollover_alias}-*"], "privileges": ["manage"]})
    return {"cluster": cluster, "indices": indices}


def _index_pattern(options: ElasticsearchOptions) -> str:
    return re.sub(r"\*+", "*", re.sub(r"%\{[^}]*\}", "*", options.target))


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
    """Holds the trials of one cluster; `version` is known after the first."""

    def __init__(self, options: ElasticsearchOptions) -> None:
        self.version = ""
        self._options = options

    def trials(self) -> list[Trial]:
        options = self._options
        made = [
            Trial(SERVER, self._of(self._server), quick=True),
            Trial(PRIVILEGES, self._of(self._privileges), quick=True, after=(SERVER,)),
        ]
        if options.manage_template or options.template:
            made.append(Trial("index template", self._of(self._template), after=(SERVER,)))
        if options.pipeline and "%{" not in options.pipeline:
            made.append(Trial("ingest pipeline", self._of(self._pipeline), quick=True, after=(SERVER,)))
        for name, run in (("health", self._health), ("disks", self._disks), ("write blocks", self._blocks)):
            made.append(Trial(f"Elasticsearch {name}", self._of(run), after=(SERVER,)))
        return made

    def _of(self, run: Callable[[Client], Finding]) -> Callable[[], Finding]:
        def connected() -> Finding:
            with _connected(self._options, "write to Elasticsearch") as client:
                return run(client)

        return connected

    # -- quick -----------------------------------------------------------------------------------------

    def _server(self, client: Client) -> Finding:
        self.version = _version(client, self._options)
        if not self.version:
            return fine(
                f"it answers at {client.where}; its version is not told without the cluster privilege monitor"
            )
        if self.version.partition(".")[0] not in SUPPORTED:
            message = (
                f"Elasticsearch at {client.where} is version {self.version}; this release speaks to "
                f"{' and '.join(SUPPORTED)}."
            )
            raise PeerError(message)
        return fine(f"version {self.version} at {client.where}")

    def _privileges(self, client: Client) -> Finding:
        """Asks for the privileges on the index, where its name is known and the server has security."""
        options = self._options
        if not options.authenticates:
            return fine("none asked for: no --user and no --api_key")
        if "%{" in options.target.replace("%{+", ""):
            return not_tried("events name their index: which, is known when they come")
        wanted = needed_role(options)
        question: dict[str, Any] = {"index": wanted["indices"]}
        if wanted["cluster"]:
            question["cluster"] = wanted["cluster"]
        status, reply = client.call("POST", "/_security/user/_has_privileges", question)
        if status in (400, 404, 405):
            return fine("this server has no security")
        if status != 200 or not isinstance(reply, dict):
            raise explain(status, reply, options, client.where, "ask for our privileges")
        if reply.get("has_all_requested"):
            return fine(
                f"{', '.join(wanted['indices'][0]['privileges'])} on {wanted['indices'][0]['names'][0]}"
            )
        return _lacking(wanted, reply, options.user or "the API key", client.where)

    # -- only `penstock check` -------------------------------------------------------------------------

    def _template(self, client: Client) -> Finding:
        options = self._options
        index_template(options)  # --template's file
        asked = options.ilm_policy and options.ilm_enabled != "false"
        if has_ilm(client, options):
            ilm = f", with the policy {options.ilm_policy}"
        else:
            ilm = "; there is no ILM, so it names no policy" if asked else ""
        status, _ = client.call("GET", f"/_index_template/{options.template_name}")
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
            message = f"--pipeline {name}: Elasticsearch at {client.where} has no such ingest pipeline."
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
            return not_tried(f"{status}: {_ONLY_HERE}")
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
            return not_tried(f"{max(status, known)}: {_ONLY_HERE}")
        return fullest(stats, settings)

    def _blocks(self, client: Client) -> Finding:
        pattern = _index_pattern(self._options)
        target = f"/{pattern}/_settings/index.blocks.*?flat_settings=true&ignore_unavailable=true"
        status, reply = client.call("GET", target)
        if status in (401, 403) or not isinstance(reply, dict):
            return not_tried(
                f"{status}: needs the index privilege view_index_metadata, which the job itself does without"
            )
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


def _version(client: Client, options: ElasticsearchOptions) -> str:
    status, reply = client.call("GET", "/")
    if status == 405:  # a server without its root page (the integration-test distribution)
        status, reply = client.call("GET", "/_nodes/_local?filter_path=nodes.*.version")
        nodes = reply.get("nodes", {}) if isinstance(reply, dict) else {}
        reply = {"version": {"number": next((node.get("version") for node in nodes.values()), None)}}
    if status == 403:
        return ""  # may write, but not look (cluster:monitor/main); the privileges are asked for next
    if status != 200:
        raise explain(status, reply, options, client.where, "write to Elasticsearch")
    version = reply.get("version", {}).get("number") if isinstance(reply, dict) else None
    if not isinstance(version, str) or not re.match(r"\d+\.", version) or _is_other_product(reply):
        message = f"what answers at {client.where} is not Elasticsearch. Check --hosts and --path."
        raise PeerError(message)
    return version


def _is_other_product(reply: Any) -> bool:
    return "distribution" in reply.get("version", {})  # OpenSearch has its name there
