"""`options` declares the options of the Elasticsearch sink.

Names and defaults are those of the Logstash output wherever the meaning is the same.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from penstock.io.aws.session import AwsOptions
from penstock.io.elasticsearch._amazon import Place, place_of
from penstock.io.elasticsearch.option_checks import require_valid, url_of
from penstock.io.http.replies import max_reply_bytes
from penstock.io.options import option
from penstock.transforms.reference import compile_reference

__all__ = ["DEFAULT_INDEX", "ElasticsearchOptions"]

DEFAULT_INDEX = "logstash-%{+YYYY.MM.dd}"
VERSION_TYPES = ("internal", "external", "external_gt", "external_gte")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


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
        help="Write to a data stream; auto: when one of data_stream_* is given and --index is not. Logstash 8 and later "
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
    aws_sigv4: str = option(
        "auto",
        help="Sign requests for Amazon OpenSearch Service (es) or Serverless (aoss) with the job's AWS credentials; auto: "
        "where the address is Amazon's and no other credentials are given.",
        choices=("auto", "es", "aoss", "none"),
    )
    elasticsearch_role_arn: str | None = option(
        None, help="Role to assume for the signatures, where it isn't the job's own."
    )
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
        require_valid(self)

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
        return [url_of(host, self.ssl_enabled, self.path) for host in self.hosts]

    @property
    def amazon(self) -> Place | None:
        """What the first address of Amazon among the nodes says; None where there is none."""
        found = (place_of(urlsplit(url).hostname or "") for url in self.urls)
        return None if self.cloud_id else next(filter(None, found), None)

    @property
    def signs_for(self) -> str:
        """The service whose signature requests carry: `es`, `aoss`, or "" for none."""
        if self.aws_sigv4 != "auto":
            return self.aws_sigv4.replace("none", "")
        return self.amazon.service if self.amazon and not self.authenticates else ""

    @property
    def signing(self) -> AwsOptions:
        """Who signs, and for which region: that of the address, else the job's."""
        aws = self._identity
        region = self.amazon.region if self.amazon else aws.region
        return dataclasses.replace(aws, region=region, role_arn=self.elasticsearch_role_arn or aws.role_arn)

    @property
    def _identity(self) -> AwsOptions:
        return AwsOptions()

    def joined(self, others: Mapping[type, Any]) -> "ElasticsearchOptions":
        """Gives the same options beside those of a job's other components, by their class."""
        aws = others.get(AwsOptions)
        return self if aws is None else self.signed_by(aws)

    def signed_by(self, aws: AwsOptions) -> "ElasticsearchOptions":
        """Gives the same options with the job's identity, where requests are signed."""
        if not self.signs_for:
            return self
        given = {field.name: getattr(self, field.name) for field in dataclasses.fields(ElasticsearchOptions)}
        return _Signed(**given, aws=aws)

    @property
    def serverless(self) -> bool:
        """Whether this is a collection of Amazon OpenSearch Serverless."""
        return "aoss" in (self.signs_for, self.amazon.service if self.amazon else "")

    @property
    def domain(self) -> bool:
        """Whether this is a domain of Amazon OpenSearch Service."""
        return "es" in (self.signs_for, self.amazon.service if self.amazon else "")

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


@dataclasses.dataclass(frozen=True)
class _Signed(ElasticsearchOptions):
    """Options, and the AWS identity of the job that has them. It is no option of its own."""

    aws: AwsOptions = dataclasses.field(default_factory=AwsOptions, repr=False, metadata={"secret": True})

    def signed_by(self, aws: AwsOptions) -> "ElasticsearchOptions":
        """Gives the same: who signs was said, perhaps of this one output among several."""
        return self

    @property
    def _identity(self) -> AwsOptions:
        return self.aws
