"""`template` makes the index template that we ship, and installs it on request (`--manage_template`).

It fits what Filebeat sends (ECS): text that people search is `text`, and every other string a keyword. Numbers and dates
have their ECS names, and no string is guessed to be a date. `@metadata` is kept in the source, not indexed. The template
uses only field types that every distribution has.

An existing template of the same name stays, unless `--template_overwrite`. The template names an ILM policy only where
the server has ILM (`lifecycle`). It is a composable one, except for a server that has none (`Dialect.composable`).
"""

import logging
import re
from pathlib import Path
from typing import Any

import orjson

from penstock.io.elasticsearch._dialects import ELASTICSEARCH, Dialect
from penstock.io.elasticsearch.cluster.client import Client, explain
from penstock.io.elasticsearch.cluster.lifecycle import begin_rollover, cover, has_ilm, ism_policy
from penstock.io.elasticsearch.options import ElasticsearchOptions
from penstock.io.errors import OptionError

__all__ = ["index_template", "install", "template_path"]

_LOGGER = logging.getLogger(__name__)
_REFERENCE = re.compile(r"%\{[^}]*\}")

PRIORITY = 200
"""Above the built-in templates for `logs-*-*` (100), as the reference asks for."""

VERSION = 1

_KEYWORD = {"type": "keyword", "ignore_above": 1024}
_TEXT = {"type": "text"}
_LONG = {"type": "long"}
_DATE = {"type": "date"}

_FIELDS: dict[str, dict[str, Any]] = {
    "@timestamp": _DATE,
    "@metadata": {"type": "object", "enabled": False},
    "message": _TEXT,
    "tags": _KEYWORD,
    "agent.ephemeral_id": _KEYWORD,
    "agent.id": _KEYWORD,
    "agent.type": _KEYWORD,
    "client.ip": {"type": "ip", "ignore_malformed": True},
    "destination.ip": {"type": "ip", "ignore_malformed": True},
    "destination.port": _LONG,
    "error.message": _TEXT,
    "error.stack_trace": _TEXT,
    "event.created": _DATE,
    "event.duration": _LONG,
    "event.end": _DATE,
    "event.ingested": _DATE,
    "event.original": {"type": "keyword", "index": False, "doc_values": False, "ignore_above": 8191},
    "event.start": _DATE,
    "host.ip": {"type": "ip", "ignore_malformed": True},
    "host.name": _KEYWORD,
    "http.request.body.bytes": _LONG,
    "http.response.body.bytes": _LONG,
    "http.response.status_code": _LONG,
    "log.file.path": {**_KEYWORD, "fields": {"text": _TEXT}},
    "log.level": _KEYWORD,
    "log.offset": _LONG,
    "process.pid": _LONG,
    "source.ip": {"type": "ip", "ignore_malformed": True},
    "source.port": _LONG,
    "user_agent.original": {**_KEYWORD, "fields": {"text": _TEXT}},
}


def index_template(
    options: ElasticsearchOptions, *, ilm: bool = False, dialect: Dialect = ELASTICSEARCH
) -> dict[str, Any]:
    """Makes the template's body, for the index or data stream that the options write to.

    Args:
        options: the options of the sink; `template` names a file to take instead of ours.
        ilm: whether the server has ILM.
        dialect: of the server that gets it.

    Raises:
        OptionError: the file holds no JSON object.
    """
    if options.template:
        return _from_file(options.template)
    settings: dict[str, Any] = {"index.refresh_interval": "5s", "index.mapping.total_fields.limit": 2000}
    if ilm and options.ilm_policy:
        settings["index.lifecycle.name"] = options.ilm_policy
        if options.ilm_rollover_alias:
            settings["index.lifecycle.rollover_alias"] = options.ilm_rollover_alias
    mappings: dict[str, Any] = {
        "date_detection": False,
        "dynamic_templates": [{"strings": {"match_mapping_type": "string", "mapping": _KEYWORD}}],
        "properties": _nested(_FIELDS),
    }
    if options.ism_policy and options.ilm_rollover_alias:
        settings["plugins.index_state_management.rollover_alias"] = options.ilm_rollover_alias
    body: dict[str, Any] = {"index_patterns": _patterns(options), "version": VERSION}
    if not dialect.composable:
        typed = {options.document_type: mappings} if dialect.typed else mappings
        return {**body, "order": PRIORITY, "settings": settings, "mappings": typed}
    body |= {
        "priority": PRIORITY,
        "template": {"settings": settings, "mappings": mappings},
        "_meta": {"description": "Filebeat's events, written by penstock"},
    }
    if options.writes_data_stream:
        body["data_stream"] = {}
    return body


def template_path(options: ElasticsearchOptions, dialect: Dialect) -> str:
    """Gives the path of the template."""
    return f"/{'_index_template' if dialect.composable else '_template'}/{options.template_name}"


def install(client: Client, options: ElasticsearchOptions, dialect: Dialect = ELASTICSEARCH) -> bool:
    """Installs the template unless one of its name is there. Returns whether it did.

    Raises:
        AccessDenied: the privilege is missing (`manage_index_templates`, and for ILM `read_ilm`).
        PeerError: the server refuses the template, or has no ILM where `--ilm_enabled true` asks for it.
    """
    ilm = has_ilm(client, options, dialect)
    policy = ism_policy(client, options, dialect)
    if options.ilm_policy and options.ilm_enabled != "false" and not ilm:
        _LOGGER.warning("%s at %s has no ILM; the template names no policy", dialect, client.where)
    target = template_path(options, dialect)
    doing = f"install the index template {options.template_name}"
    status, reply = client.call("GET", target)
    if status == 200 and not options.template_overwrite:
        _LOGGER.info("the index template %s is there already and stays", options.template_name)
        installed = False
    elif status in (200, 404):
        status, reply = client.call("PUT", target, index_template(options, ilm=ilm, dialect=dialect))
        if status != 200:
            raise explain(status, reply, options, client.where, doing, dialect)
        _LOGGER.info("installed the index template %s", options.template_name)
        installed = True
    else:
        raise explain(status, reply, options, client.where, doing, dialect)
    if policy is not None:
        cover(client, options, dialect, policy, _patterns(options), PRIORITY)
    if (ilm or policy is not None) and options.ilm_rollover_alias:
        begin_rollover(client, options, options.ilm_rollover_alias)
    return installed


def _patterns(options: ElasticsearchOptions) -> list[str]:
    if options.ilm_rollover_alias:
        return [f"{options.ilm_rollover_alias}-*"]
    pattern = re.sub(r"\*+", "*", _REFERENCE.sub("*", options.target))
    return [pattern] if pattern.strip("*") else ["logstash-*"]


def _nested(flat: dict[str, dict[str, Any]]) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for path, mapping in flat.items():
        *outer, name = path.split(".")
        inner = properties
        for key in outer:
            inner = inner.setdefault(key, {"properties": {}})["properties"]
        inner[name] = mapping
    return properties


def _from_file(path: str) -> dict[str, Any]:
    try:
        body = orjson.loads(Path(path).read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        message = f"--template {path}: {error}."
        raise OptionError(message) from error
    if not isinstance(body, dict) or "index_patterns" not in body:
        message = f"--template {path} is not a composable index template (no index_patterns)."
        raise OptionError(message)
    return body
