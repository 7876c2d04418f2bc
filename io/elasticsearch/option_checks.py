"""`require_valid` looks at the values of `ElasticsearchOptions` together, and says which of them can't be."""

import os
import re
from typing import Any
from urllib.parse import urlsplit

import orjson

from penstock.io.aws.session import require_role
from penstock.io.errors import OptionError
from penstock.io.options import is_host
from penstock.transforms.reference import Reference, compile_reference

__all__ = ["ACTIONS", "require_valid", "url_of"]

ACTIONS = ("index", "create", "update", "delete")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FINGERPRINT = re.compile(r"(?:[0-9a-fA-F]{2}:?){31}[0-9a-fA-F]{2}")


def require_valid(options: Any) -> None:
    """Raises `OptionError`, which names the flag, where a value or a pair of them can't be."""
    _check_bounds(options)
    _check_action(options)
    for name in ("index", "action", "document_id", "routing", "version", "pipeline"):
        value = getattr(options, name)
        if value is not None:
            _compiled(f"--{name}", value)
    for host in options.hosts:
        _check_host(host)
    _check_pairs(options)
    if options.upsert is not None:
        _check_json("--upsert", options.upsert)
    for name, value in options.custom_headers.items():
        if not _HEADER_NAME.fullmatch(name) or "\r" in value or "\n" in value:
            message = (
                f"--custom_headers: {name!r} is not the name of an HTTP header, or its value has a line end."
            )
            raise OptionError(message)


def _compiled(flag: str, text: str) -> Reference:
    try:
        return compile_reference(text)
    except ValueError as error:
        message = f"{flag}: {error}."
        raise OptionError(message) from None


def _check_pairs(options: Any) -> None:
    message = None
    if bool(options.user) != bool(options.password):
        message = "--user and --password go together (PENSTOCK_PASSWORD counts): give both or neither."
    elif options.user and options.api_key:
        message = "--user and --api_key exclude each other."
    elif bool(options.ssl_certificate) != bool(options.ssl_key):
        message = "--ssl_certificate and --ssl_key go together: give both or neither."
    elif options.ca_trusted_fingerprint and not _FINGERPRINT.fullmatch(options.ca_trusted_fingerprint):
        message = "--ca_trusted_fingerprint is not the hex form of a SHA-256 (64 digits)."
    elif options.aws_sigv4 in ("es", "aoss") and options.authenticates:
        message = f"--aws_sigv4 {options.aws_sigv4} excludes --user, --api_key and a header Authorization: it signs."
    elif options.elasticsearch_role_arn and not options.signs_for:
        message = "--elasticsearch_role_arn is for signed requests: give --aws_sigv4 es or aoss."
    elif options.signs_for and options.sniffing:
        message = "--sniffing: Amazon's service has one address, and shows no nodes. Leave it out."
    elif options.version_type and not options.version:
        message = "--version_type needs --version."
    elif options.ca_trusted_fingerprint and options.ssl_verification_mode == "none":
        message = (
            "--ca_trusted_fingerprint verifies, --ssl_verification_mode none does not: give one of them."
        )
    elif (
        options.ca_trusted_fingerprint
        and options.ssl_certificate_authorities
        and not (options.proxy or "").startswith("https:")  # the authorities are for its certificate
    ):
        message = "--ca_trusted_fingerprint is the only anchor, so --ssl_certificate_authorities would not count: give one."
    elif not options.hosts and not options.cloud_id:
        message = "--hosts is empty: name at least one node, such as localhost:9200."
    elif options.proxy and not _is_proxy(options.proxy):
        message = "--proxy must be a URL that starts with http:// or https:// and names a host."
    elif options.ilm_enabled == "true" and not options.ilm_policy:
        message = "--ilm_enabled needs --ilm_policy."
    elif options.ism_policy and options.ilm_policy:
        message = (
            "--ism_policy is OpenSearch's, --ilm_policy Elasticsearch's: give the one that your server has."
        )
    elif options.ism_policy and not (options.manage_template or options.template):
        message = "--ism_policy goes with --manage_template: give both."
    require_role("--elasticsearch_role_arn", options.elasticsearch_role_arn)
    for flag in ("ssl_certificate_authorities", "ssl_certificate", "ssl_key", "template"):
        file = getattr(options, flag)
        if message is None and file and ("\0" in file or not os.access(file, os.R_OK)):
            message = f"--{flag} {file}: no such file, or it cannot be read."
    if message:
        raise OptionError(message)


def _is_proxy(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and is_host(parts.hostname or "") and parts.port != 0
    except ValueError:
        return False


def _check_bounds(options: Any) -> None:
    for name in ("timeout", "max_reply_bytes", "bulk_max_count", "bulk_max_bytes", "max_bulks_in_flight"):
        if getattr(options, name) < 1:
            message = f"--{name} must be at least 1."
            raise OptionError(message)
    if not 0 < options.retry_initial_interval <= options.retry_max_interval:
        message = (
            f"--retry_initial_interval ({options.retry_initial_interval:g} s) must be above 0 and not exceed "
            f"--retry_max_interval ({options.retry_max_interval:g} s)."
        )
        raise OptionError(message)
    if not 1 <= options.compression_level <= 9:
        message = "--compression_level must be 1 to 9."
        raise OptionError(message)
    if options.blocked_index_timeout < 0:
        message = "--blocked_index_timeout must not be negative."
        raise OptionError(message)
    if options.retry_on_conflict < 0 or options.stop_timeout < 0 or options.sniffing_delay <= 0:
        message = (
            "--retry_on_conflict and --stop_timeout must not be negative, --sniffing_delay must be above 0."
        )
        raise OptionError(message)


def _check_action(options: Any) -> None:
    message = None
    literal = "%{" not in options.action
    if literal and options.action not in ACTIONS:
        message = f"--action {options.action!r} is none of {', '.join(ACTIONS)}, nor a %{{field}}."
    elif options.writes_data_stream and options.action != "create":
        message = f"--action {options.action}: a data stream takes only create."
    elif options.writes_data_stream and options.version:
        message = "--version: a data stream takes no versions."
    elif options.document_id == "none" and literal and options.action in ("update", "delete"):
        message = f"--action {options.action} needs a --document_id."
    elif options.action == "update" and options.version:
        message = "--version: an update takes no external version."
    elif options.version and not options.version_type and options.action == "create":
        message = "--version with --action create: Elasticsearch refuses it; use --action index."
    if message:
        raise OptionError(message)


def _check_host(host: str) -> None:
    url = url_of(host, None, None)
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and is_host(parts.hostname or "") and bool(parts.port)
    except ValueError:
        valid = False
    if not valid:
        message = "--hosts: not a host, host:port or URL: " + repr(host.rpartition("@")[2])
        raise OptionError(message)
    if parts.username or parts.password:
        message = "--hosts: credentials in a URL end up in logs; give --user and --password."
        raise OptionError(message)


def _check_json(flag: str, text: str) -> None:
    try:
        valid = isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        valid = False
    if not valid:
        message = f"{flag} is not a JSON object."
        raise OptionError(message)


def url_of(host: str, ssl_enabled: bool | None, path: str | None) -> str:
    """Gives a node's URL, with scheme and port.

    Args:
        host: as `--hosts` has it.
        ssl_enabled: `--ssl_enabled`.
        path: `--path`.
    """
    amazon = bool(re.match(r"(https://)?[^/:]+\.(amazonaws\.com(\.cn)?|on\.aws)(:|/|$)", host))
    if "://" not in host:
        host = f"{'https' if ssl_enabled or (amazon and ssl_enabled is None) else 'http'}://{host}"
    scheme, _, rest = host.partition("://")
    place, slash, own_path = rest.partition("/")
    if not re.search(r":\d+$", place):
        place += ":443" if amazon else ":9200"
    prefix = (path or slash + own_path).strip("/")
    return f"{scheme}://{place}/{prefix}".rstrip("/")
