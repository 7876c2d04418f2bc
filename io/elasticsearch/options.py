"""`options` declares the options of the Elasticsearch sink.

Names and defaults are those of the Logstash output wherever the meaning is the same.
"""

import dataclasses
import os
import re
from urllib.parse import urlsplit

import orjson

from penstock.io.errors import OptionError
from penstock.io.options import option
from penstock.io.replies import max_reply_bytes
from penstock.transforms.reference import Reference, compile_reference

__all__ = ["DEFAULT_INDEX", "ElasticsearchOptions"]

DEFAULT_INDEX = "logstash-%{+YYYY.MM.dd}"
ACTIONS = ("index", "create", "update", "delete")
VERSION_TYPES = ("internal", "external", "external_gt", "external_gte")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FINGERPRINT = re.compile(r"(?:[0-9a-fA-F]{2}:?){31}[0-9a-fA-F]{2}")


@dataclasses.dataclass(frozen=True)
class ElasticsearchOptions:
    """How events are written to Elasticsearch."""

    hosts: list[str] = option(
        ["localhost:9200"],
        help="Nodes, as host, host:port or URL; port 9200 and http unless said otherwise, of *.amazonaws.com 443 and https.",
    )
    index: str = option(
        DEFAULT_INDEX,
        help="Index of an event: a name, %{field}, or %{+date} of its @timestamp in UTC.",
    )
    data_stream: str = option(
        "auto",
        help="Write to a data stream; auto: when a --data_stream_* option is given and --index is not. Logstash 8 and later "
        "does so with hosts alone; here that means daily indices.",
        choices=("auto", "true", "false"),
    )
    data_stream_type: str = option("logs", help="First part of the data stream's name.")
    data_stream_dataset: str = option("generic", help="Second part of the data stream's name.")
    data_stream_namespace: str = option("default", help="Third part of the data stream's name.")
    document_type: str = option(
        "doc",
        help="The _type of all documents, where the server wants one: Elasticsearch 6. Others ignore it.",
    )
    action: str = option(
        "create", help="index, create, update or delete, or %{field}; data streams take create only."
    )
    document_id: str = option(
        "auto",
        help="auto: made from where the event came from, so that a replay never duplicates; none: Elasticsearch "
        "makes one, and a replay duplicates; else a text with %{field}.",
    )
    keep_metadata: bool = option(
        False,
        help="Store a Beat's @metadata too. Otherwise it is only used for ids and references, as in Logstash.",
    )
    routing: str | None = option(None, help="Routing value, %{field} allowed.")
    version: str | None = option(None, help="Document version, usually %{field}; needs --version_type.")
    version_type: str | None = option(None, help="How --version is compared.", choices=VERSION_TYPES)
    pipeline: str | None = option(None, help="Ingest pipeline, %{field} allowed.")
    doc_as_upsert: bool = option(False, help="update: create the document when it isn't there.")
    upsert: str | None = option(None, help="update: the JSON document to create when there is none.")
    script: str | None = option(
        None, help="update: a script (its text, or its id with --script_type indexed)."
    )
    script_lang: str = option("painless", help="update: the language of an inline script.")
    script_type: str = option("inline", help="update: where the script is.", choices=("inline", "indexed"))
    script_var_name: str = option("event", help="update: the event's name among the script's params.")
    scripted_upsert: bool = option(False, help="update: run the script for a missing document too.")
    retry_on_conflict: int = option(1, help="update: how often Elasticsearch itself tries again.")
    user: str | None = option(None, help="User name; needs --password.")
    password: str | None = option(None, help="Password of --user.", secret=True)
    api_key: str | None = option(None, help="API key, as id:key or in its encoded form.", secret=True)
    cloud_id: str | None = option(None, help="Elastic Cloud id, instead of --hosts.")
    custom_headers: dict[str, str] = option({}, help="Further HTTP headers.", secret=True)
    path: str | None = option(
        None, help="Path in front of every request's path, when Elasticsearch is behind a proxy."
    )
    proxy: str | None = option(None, help="URL of an HTTP proxy.", secret=True)
    parameters: dict[str, str] = option({}, help="Further query parameters of the bulk.")
    ssl_enabled: bool | None = option(None, help="TLS for hosts without a scheme.")
    ssl_certificate_authorities: str | None = option(
        None, help="PEM file of the authorities to trust; else the system's."
    )
    ssl_certificate: str | None = option(None, help="PEM file of our certificate; needs --ssl_key.")
    ssl_key: str | None = option(None, help="PEM file of its key.")
    ssl_verification_mode: str = option(
        "full",
        help="full: certificate and name; certificate: no name; none: nothing.",
        choices=("full", "certificate", "none"),
    )
    ca_trusted_fingerprint: str | None = option(
        None,
        help="SHA-256, in hex, of a certificate that the server presents: its authority, or its own. It is the only one "
        "that is trusted; chain and host name are verified by it.",
    )
    http_compression: bool | None = option(
        None, help="Whether bulks are gzipped; unless said: yes, except towards this machine itself."
    )
    compression_level: int = option(1, help="1 to 9: more for less traffic and more CPU.")
    timeout: int = option(60, help="Seconds until a request is given up, in all, and sent again.")
    max_reply_bytes: int = max_reply_bytes()
    retry_initial_interval: float = option(2.0, help="Seconds before the first try again, with jitter.")
    retry_max_interval: float = option(64.0, help="Seconds between tries at most; the waits double up to it.")
    blocked_index_timeout: float = option(
        300.0,
        help="Seconds that an index which refuses every document (read-only, closed, its disks full, denied) is waited for; "
        "then its events become dead letters. A constant --index is waited for without end.",
    )
    dlq_custom_codes: list[int] = option(
        [], help="Statuses of documents that go to the dead letters instead of being tried again."
    )
    silence_errors_in_log: list[str] = option(
        [], help="Error types of refused documents that aren't logged, only kept."
    )
    manage_template: bool = option(False, help="Install our index template at start.")
    template: str | None = option(None, help="JSON file of another index template; sets --manage_template.")
    template_name: str = option("penstock", help="The index template's name.")
    template_overwrite: bool = option(False, help="Replace a template of that name that is there already.")
    ilm_enabled: str = option(
        "auto",
        help="Name an ILM policy in the template; auto: when the server has ILM and --ilm_policy is given.",
        choices=("auto", "true", "false"),
    )
    ilm_policy: str | None = option(None, help="The ILM policy that the template names.")
    ism_policy: str | None = option(
        None,
        help="OpenSearch, with --manage_template: the ISM policy that manages the template's indices. Its ism_template gets "
        "their pattern.",
    )
    ilm_rollover_alias: str | None = option(None, help="Rollover alias that the template sets; write to it.")
    ilm_pattern: str = option("000001", help="Suffix of the first index behind --ilm_rollover_alias.")
    sniffing: bool = option(False, help="Find the cluster's other nodes and use them too.")
    sniffing_delay: float = option(60.0, help="Seconds between two looks for nodes.")
    bulk_max_count: int = option(
        1000, help="Documents in one bulk at most; fewer: more bulks at a time, more CPU."
    )
    bulk_max_bytes: int = option(
        5 << 20, help="Bytes of one bulk before compression at most; a larger single document goes alone."
    )
    max_bulks_in_flight: int = option(4, help="Bulks under way at the same time.")
    stop_timeout: float = option(
        30.0, help="Seconds that a stopping job still tries to write what it has read."
    )

    def __post_init__(self) -> None:
        _check_pairs(self)
        _check_bounds(self)
        _check_action(self)
        for name in ("index", "action", "document_id", "routing", "version", "pipeline"):
            value = getattr(self, name)
            if value is not None:
                _compiled(f"--{name}", value)
        for host in self.hosts:
            _check_host(host)
        if self.upsert is not None:
            _check_json("--upsert", self.upsert)
        for name, value in self.custom_headers.items():
            if not _HEADER_NAME.fullmatch(name) or "\r" in value or "\n" in value:
                message = f"--custom_headers: {name!r} is not the name of an HTTP header, or its value has a line end."
                raise OptionError(message)

    @property
    def writes_data_stream(self) -> bool:
        """Whether events go to a data stream named by the three parts."""
        if self.data_stream == "auto":
            parts = (self.data_stream_type, self.data_stream_dataset, self.data_stream_namespace)
            return self.index == DEFAULT_INDEX and parts != ("logs", "generic", "default")
        return self.data_stream == "true"

    @property
    def target(self) -> str:
        """The text of the index reference: `--index`, or the data stream's name."""
        if self.writes_data_stream:
            return f"{self.data_stream_type}-{self.data_stream_dataset}-{self.data_stream_namespace}"
        return self.index

    @property
    def needs_documents(self) -> bool:
        """Whether the sink reads decoded events, so that keeping them saves work."""
        texts = (self.target, self.action, self.document_id, self.routing, self.version, self.pipeline)
        return self.script is not None or any(
            compile_reference(text).needs_document for text in texts if text
        )

    @property
    def urls(self) -> list[str]:
        """The nodes as URLs with scheme, host and port."""
        return [_url(host, self.ssl_enabled, self.path) for host in self.hosts]

    @property
    def serverless(self) -> bool:
        """Whether the address is that of a collection of Amazon OpenSearch Serverless."""
        return any((urlsplit(url).hostname or "").endswith(".aoss.amazonaws.com") for url in self.urls)

    @property
    def compresses(self) -> bool:
        """Whether bulks are gzipped."""
        if self.http_compression is not None:
            return self.http_compression
        return bool(self.cloud_id) or any(urlsplit(url).hostname not in _LOOPBACK for url in self.urls)

    @property
    def authenticates(self) -> bool:
        """Whether requests carry credentials."""
        named = any(name.lower() == "authorization" for name in self.custom_headers)
        return bool(self.user or self.api_key or named)


def _compiled(flag: str, text: str) -> Reference:
    try:
        return compile_reference(text)
    except ValueError as error:
        message = f"{flag}: {error}."
        raise OptionError(message) from None


def _check_pairs(options: ElasticsearchOptions) -> None:
    message = None
    if bool(options.user) != bool(options.password):
        message = "--user and --password go together (PENSTOCK_PASSWORD counts): give both or neither."
    elif options.user and options.api_key:
        message = "--user and --api_key exclude each other."
    elif bool(options.ssl_certificate) != bool(options.ssl_key):
        message = "--ssl_certificate and --ssl_key go together: give both or neither."
    elif options.ca_trusted_fingerprint and not _FINGERPRINT.fullmatch(options.ca_trusted_fingerprint):
        message = "--ca_trusted_fingerprint is not the hex form of a SHA-256 (64 digits)."
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
    for flag in ("ssl_certificate_authorities", "ssl_certificate", "ssl_key", "template"):
        file = getattr(options, flag)
        if message is None and file and not os.access(file, os.R_OK):
            message = f"--{flag} {file}: no such file, or it cannot be read."
    if message:
        raise OptionError(message)


def _is_proxy(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _check_bounds(options: ElasticsearchOptions) -> None:
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


def _check_action(options: ElasticsearchOptions) -> None:
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
    url = _url(host, None, None)
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and bool(parts.port)
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


def _url(host: str, ssl_enabled: bool | None, path: str | None) -> str:
    amazon = bool(re.match(r"(https://)?[^/:]+\.amazonaws\.com(:|/|$)", host))
    if "://" not in host:
        host = f"{'https' if ssl_enabled or (amazon and ssl_enabled is None) else 'http'}://{host}"
    scheme, _, rest = host.partition("://")
    place, slash, own_path = rest.partition("/")
    if not re.search(r":\d+$", place):
        place += ":443" if amazon else ":9200"
    prefix = (path or slash + own_path).strip("/")
    return f"{scheme}://{place}/{prefix}".rstrip("/")
