"""`elasticsearch` declares the outputs `elasticsearch`, `opensearch` and `amazon_es`, and makes `ElasticsearchOptions`.

Logstash 8 and later writes to the data stream `logs-generic-default` unless an option forbids it; older ones write daily
indices. Ids and `create` are ours unless the file sets them: a replay then stores nothing twice.
"""

import dataclasses
import re
from typing import Any
from urllib.parse import unquote, urlsplit

from penstock.io.aws.session import AwsOptions
from penstock.io.elasticsearch import ElasticsearchOptions
from penstock.pipelines.logstash.plugins.declaration import (
    Made,
    PluginDeclaration,
    PluginOption,
    ignored,
    mapped,
    old,
    refused,
)
from penstock.pipelines.logstash.plugins.values import Values

__all__ = ["AMAZON_ES", "ELASTICSEARCH", "OPENSEARCH"]

_NO_DATA_STREAM = (
    *("index", "document_id", "version", "version_type", "parent", "join_field", "document_type"),
    *("manage_template", "template", "template_name", "template_overwrite"),
    *("ilm_enabled", "ilm_policy", "ilm_rollover_alias", "ilm_pattern"),
    *(
        "upsert",
        "doc_as_upsert",
        "script",
        "script_type",
        "script_lang",
        "script_var_name",
        "scripted_upsert",
    ),
)
"""Options that forbid a data stream where `data_stream` isn't given (Logstash's data_stream_support.rb)."""
_URL_CREDENTIALS = re.compile(r"^(\w+://)?([^/@\s]+)@(.*)$")


def _make(values: Values, **given: Any) -> Made:
    _old_names(values)
    more = {**_hosts(values), **given}
    if values["cloud_auth"]:
        user, _, password = str(values["cloud_auth"]).partition(":")
        more |= {"user": user, "password": password}
    more |= _authorities(values)
    more |= _target(values)
    if not values.given("document_id"):
        values.ours("document_id", "auto (made from the event, so that a replay stores nothing twice)")
    if not values.given("action"):
        values.ours("action", "create (Logstash: index, and create for data streams)")
    if values["manage_template"] is None:
        values.ours("manage_template", "false")
    for name in ("custom_headers", "parameters"):
        if values[name]:
            more[name] = {str(key): str(value) for key, value in values[name].items()}
    codes = values["dlq_custom_codes"]
    if codes:
        more["dlq_custom_codes"] = [int(code) for code in codes]
    if values["proxy"] is not None and not values["proxy"]:
        more["proxy"] = None
    options = values.component(ElasticsearchOptions, **more)
    fallback = None
    if options is not None and options.writes_data_stream and not values.given("data_stream"):
        index = "logstash-%{+yyyy.MM.dd}"
        fallback = dataclasses.replace(options, data_stream="false", index=index)
    return Made(options=options, fallback=fallback)


def _old_names(values: Values) -> None:
    for before, now in (("ssl", "ssl_enabled"), ("cacert", "ssl_certificate_authorities")):
        if values[before] is not None and not values.given(now):
            values.set(now, [values[before]] if now.endswith("authorities") else values[before])
    if values["ssl_certificate_verification"] is False and not values.given("ssl_verification_mode"):
        values.set("ssl_verification_mode", "none")
    if values["http_compression"] is False and values["compression_level"] is None:
        return
    level = values["compression_level"]
    if level is not None:
        values.set("http_compression", level > 0)
        values.set("compression_level", level or None)


def _hosts(values: Values) -> dict[str, Any]:
    """Gives the hosts without users in their URLs, and that user; `host`, `port` and `protocol` of old too."""
    hosts = [str(each) for each in values["hosts"] or ()]
    if not hosts and values["host"]:
        port = f":{values['port']}" if values["port"] else ""
        hosts = [f"{each}{port}" for each in values["host"]]
    if values["protocol"] not in (None, "http"):
        values.problem(
            "protocol", "protocol: only http is spoken here; give the nodes' HTTP port (9200) in hosts"
        )
    more: dict[str, Any] = {}
    plain = []
    for host in hosts:
        found = _URL_CREDENTIALS.match(host)
        if found:
            user, _, password = found[2].partition(":")
            more |= {"user": unquote(user), "password": unquote(password)}
            host = (found[1] or "") + found[3]
        host = host.removeprefix("//")
        plain.append(host)
    if plain and not values["cloud_id"]:
        more["hosts"] = plain
    paths = {urlsplit(host).path.rstrip("/") for host in plain if "://" in host} - {""}
    if len(paths) == 1 and not values["path"]:
        (path,) = paths
        more["path"] = path
        more["hosts"] = [
            host[: host.index(path, host.index("://") + 3)] if path in host else host for host in plain
        ]
    return more


def _authorities(values: Values) -> dict[str, Any]:
    given = values["ssl_certificate_authorities"]
    if not given:
        return {}
    if len(given) > 1:
        values.problem(
            "ssl_certificate_authorities",
            "ssl_certificate_authorities takes one file; put the others into it",
        )
    return {"ssl_certificate_authorities": str(given[0])}


def _target(values: Values) -> dict[str, Any]:
    """Gives where documents go: a data stream's parts, or an index."""
    situation = values.situation
    ecs = situation.ecs if values["ecs_compatibility"] is None else values["ecs_compatibility"] != "disabled"
    wanted = values["data_stream"] or "auto"
    forbids = [name for name in _NO_DATA_STREAM if values.given(name)]
    if values["manage_template"] is False and "manage_template" in forbids:
        forbids.remove("manage_template")
    if values.given("action") and values["action"] != "create":
        forbids.append("action")
    parts = [
        name
        for name in ("data_stream_type", "data_stream_dataset", "data_stream_namespace")
        if values.given(name)
    ]
    if values.declared.name != "elasticsearch":
        stream, why = False, f"the output {values.declared.name} writes indices"
    elif wanted != "auto":
        stream, why = wanted == "true", ""
    else:
        stream = not forbids and ecs and (situation.compat >= 8 or bool(parts))
        why = f"the default of Logstash {situation.compat}" if not forbids else f"{forbids[0]} is given"
    if stream and wanted == "true" and (wrong := [name for name in forbids if name in ("index", "action")]):
        values.problem(
            wrong[0], f"{wrong[0]}: a data stream takes only action create and has no index option"
        )
    if parts and not stream and (forbids or wanted == "false"):
        values.problem(
            parts[0],
            f"{parts[0]} needs a data stream, which {forbids[0] if forbids else 'data_stream => false'} forbids",
        )
    if why:
        values.derived("data_stream", "true" if stream else "false", f"default ({why})", "data_stream")
    if stream:
        return {"data_stream": "true"}
    index = values["index"]
    alias = values["ilm_rollover_alias"]
    if index is None and alias:
        index = alias
    if index is None:
        index = f"{'ecs-' if ecs else ''}logstash-%{{+yyyy.MM.dd}}"
        values.derived("index", index, "default", "index")
    return {"data_stream": "false", "index": index}


_SSL: tuple[PluginOption, ...] = (
    mapped("ssl_enabled", "boolean"),
    mapped("ssl_certificate_authorities", "strings", to="", note="one file"),
    mapped("ssl_certificate", "path"),
    mapped("ssl_key", "path"),
    mapped("ssl_verification_mode", "choice", choices=("full", "certificate", "none")),
    mapped("ssl", "boolean", to="", until=8, note="old name of ssl_enabled"),
    mapped("cacert", "path", to="", until=8, note="old name of ssl_certificate_authorities"),
    mapped(
        "ssl_certificate_verification", "boolean", to="", until=8, note="old form of ssl_verification_mode"
    ),
    *refused(
        "give PEM files: ssl_certificate, ssl_key, ssl_certificate_authorities",
        *("ssl_keystore_path", "ssl_keystore_password", "ssl_keystore_type", "ssl_truststore_path"),
        *("ssl_truststore_password", "ssl_truststore_type", "keystore", "keystore_password", "truststore"),
        "truststore_password",
    ),
    *ignored("the machine's OpenSSL decides", "ssl_cipher_suites", "ssl_supported_protocols"),
)

_DOCUMENTS: tuple[PluginOption, ...] = (
    mapped("hosts", "uris", note="a user in a URL becomes `user` and `password`"),
    mapped("index", note="a field that is missing makes a dead letter, not an index called `%{field}`"),
    mapped("action", note="**create** unless given"),
    mapped("document_id", note="**auto** unless given: made from the event"),
    mapped("routing"),
    mapped("version"),
    mapped("version_type", "choice", choices=("internal", "external", "external_gt", "external_gte", "force")),
    mapped("pipeline"),
    mapped("doc_as_upsert", "boolean"),
    mapped("upsert"),
    mapped("script"),
    mapped("script_lang"),
    mapped("script_type", "choice", choices=("inline", "indexed", "file")),
    mapped("script_var_name"),
    mapped("scripted_upsert", "boolean"),
    mapped("retry_on_conflict", "number"),
    mapped("user"),
    mapped("password", "password"),
    mapped("custom_headers", "hash", to="custom_headers"),
    mapped("path"),
    mapped("proxy"),
    mapped("parameters", "hash"),
    mapped("http_compression", "boolean", note="off towards this machine itself unless given"),
    mapped("compression_level", "number", note="0 switches it off"),
    mapped("timeout", "number", default=60),
    mapped("retry_initial_interval", "number", default=2),
    mapped("retry_max_interval", "number", default=64),
    mapped("dlq_custom_codes", "array", to=""),
    mapped("silence_errors_in_log", "strings"),
    mapped("manage_template", "boolean", note="**false** unless given; a composable template"),
    mapped("template", "path"),
    mapped("template_name"),
    mapped("template_overwrite", "boolean"),
    mapped("sniffing", "boolean", default=False),
    mapped("sniffing_delay", "number"),
    mapped("ecs_compatibility", "choice", to="", choices=("disabled", "v1", "v8"),
           note="decides the default index and data stream"),
    *_SSL,
    *ignored("the official client's own", "pool_max", "pool_max_per_route", "resurrect_delay", "validate_after_inactivity",
             "healthcheck_path", "sniffing_path", "bulk_path", "absolute_healthcheck_path", "absolute_sniffing_path",
             "target_bulk_bytes"),
    *ignored("composable templates are the only ones here", "template_api", "legacy_template",
             "default_server_major_version"),
    *ignored("such an event becomes a dead letter, always", "dlq_on_failed_indexname_interpolation"),
    *ignored("a refused document becomes a dead letter, whatever its error", "drop_error_types",
             "failure_type_logging_whitelist"),
    *refused("Elasticsearch 7 removed parents; use routing and a join field in the document", "parent", "join_field"),
    mapped("document_type", until=7, note="for Elasticsearch 6; later ones have no types"),
    *old("Elasticsearch has no types any more", "index_type", until=7),
    *old("the sizes of bulks are --set ...bulk_max_count and bulk_max_bytes here", "flush_size", "idle_flush_time",
         "max_inflight_requests", "retry_max_items", "max_retries"),
    mapped("host", "strings", to="", until=5, note="old name of hosts"),
    mapped("port", to="", until=5, note="old: stands in hosts"),
    mapped("protocol", to="", until=5, note="http only"),
    *old("this is a client by HTTP, no node", "embedded", "node_name", "cluster", "bind_host", "bind_port",
         "embedded_http_port", "transport_tcp_port", until=5),
)  # fmt: skip

_PATIENCE = ("instance_profile_credentials_retries", "instance_profile_credentials_timeout")

ELASTICSEARCH = PluginDeclaration(
    section="output",
    name="elasticsearch",
    options=(
        mapped("data_stream", "choice", to="", choices=("true", "false", "auto"),
               note="auto: the default of the Logstash in `--compat`; a server without data streams gets daily indices"),
        mapped("data_stream_type"),
        mapped("data_stream_dataset"),
        mapped("data_stream_namespace"),
        mapped("ilm_enabled", "choice", choices=("true", "false", "auto"), note="named in the template only"),
        mapped("ilm_policy", note="named in the template only"),
        mapped("ilm_rollover_alias", note="written to, where no index is given"),
        mapped("ilm_pattern"),
        mapped("api_key", "password"),
        mapped("cloud_id"),
        mapped("cloud_auth", "password", to=""),
        mapped("ca_trusted_fingerprint"),
        *ignored("a data stream's name comes from the options alone", "data_stream_auto_routing", "data_stream_sync_fields"),
        *_DOCUMENTS,
    ),
    make=_make,
    about="Bulks; a repeated event is stored once.",
)  # fmt: skip

OPENSEARCH = PluginDeclaration(
    section="output",
    name="opensearch",
    plugin="elasticsearch",
    options=(
        mapped("auth_type", "hash", to="", hidden=True,
               note="`basic`, with user and password; `aws_iam`: requests are signed (`--aws_sigv4`)"),
        *_DOCUMENTS,
    ),
    make=lambda values: _opensearch(values),
    about="As elasticsearch.",
)  # fmt: skip

AMAZON_ES = PluginDeclaration(
    section="output",
    name="amazon_es",
    plugin="elasticsearch",
    options=(
        mapped("region", default="us-east-1", note="where the address doesn't say it"),
        mapped("aws_access_key_id", to="access_key"),
        mapped("aws_secret_access_key", "password", to="secret_key"),
        mapped("session_token", "password"),
        mapped("profile"),
        mapped("protocol", "choice", to="", choices=("http", "https"), default="https"),
        mapped("port", to="", default="443"),
        *ignored("botocore looks for credentials as AWS' tools do", *_PATIENCE),
        *(each for each in _DOCUMENTS if each.name not in ("protocol", "port", "user", "password")),
    ),
    make=lambda values: _amazon(values),
    about="As elasticsearch; requests are signed.",
)

_SIGNING = {
    "aws_access_key_id": "access_key",
    "aws_secret_access_key": "secret_key",
    "session_token": "session_token",
    "profile": "profile",
    "region": "region",
}
"""What `auth_type` says of credentials -> our option."""


def _opensearch(values: Values) -> Made:
    auth = values["auth_type"] or {}
    kind = auth.get("type", "basic")
    unknown = auth.keys() - {"type", "user", "password", "service_name", *_SIGNING, *_PATIENCE}
    if kind not in ("basic", "aws_iam") or unknown:
        what = f"has no {min(unknown)}" if unknown else f"{kind} is none of basic and aws_iam"
        values.problem("auth_type", f"auth_type {what}")
    elif kind == "aws_iam":
        given = {ours: auth[name] for name, ours in _SIGNING.items() if name in auth}
        return _signed(values, _make(values, aws_sigv4=auth.get("service_name", "es")), given)
    elif auth:
        values.set("user", auth.get("user"))
        values.set("password", auth.get("password"))
    return _make(values)


def _amazon(values: Values) -> Made:
    protocol, port = values["protocol"], values["port"]
    hosts = [str(each) for each in values["hosts"] or ()]
    values.set("protocol", None)
    values.set(
        "hosts",
        [each if "://" in each else f"{protocol}://{each.partition(':')[0]}:{port}" for each in hosts],
    )
    return _signed(values, _make(values, aws_sigv4="es"), {})


def _signed(values: Values, made: Made, given: dict[str, Any]) -> Made:
    """Gives the options with who signs."""
    aws = values.component(AwsOptions, **given)
    if made.options is None or aws is None:
        return made
    return dataclasses.replace(made, options=made.options.signed_by(aws))
