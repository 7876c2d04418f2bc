"""`dead_letters` gives editors and mypy the keywords of `WriteDeadLetters`.

Made by docs/make_keywords.py from the options classes; change them there.
"""

from collections.abc import Sequence
from typing import Literal, TypedDict

__all__ = ["WriteKeywords"]


class WriteKeywords(TypedDict, total=False):
    """Keywords of `WriteDeadLetters`: those of its store."""

    region: str
    """AWS region. Without it, AWS_REGION or AWS_DEFAULT_REGION of the environment, else us-east-1."""

    endpoint_url: str | None
    """Address that serves all AWS services of the job (an emulator, a VPC endpoint)."""

    profile: str | None
    """Profile of the AWS configuration files; else the standard chain."""

    access_key: str | None
    """Access key id; needs `secret_key`. Else the standard chain."""

    secret_key: str | None
    """Secret access key; needs `access_key`."""

    session_token: str | None
    """Session token of temporary keys."""

    role_arn: str | None
    """Role to assume with those credentials."""

    role_session_name: str
    """Session name under which the role is assumed. Default: penstock."""

    verify_certificate: bool
    """Whether TLS certificates of AWS endpoints are verified. Default: True."""

    connect_timeout: int
    """Milliseconds until a connection must stand. Default: 6000."""

    request_timeout: int
    """Milliseconds that a request may take in all, and a second more for each 500 KB that it and its reply have. Default:
    6000.
    """

    max_reply_bytes: int
    """Most bytes of a peer's reply, after inflating. A larger reply counts as none, and the call is tried again. Default:
    67108864.
    """

    hosts: str | Sequence[str]
    """Nodes, as host, host:port or URL; port 9200 and http unless said otherwise, of *.amazonaws.com 443 and https. Default:
    localhost:9200.
    """

    index: str
    """Index of an event: a name, %{field}, or %{+date} of its @timestamp in UTC. Default: logstash-%{+YYYY.MM.dd}."""

    data_stream: Literal["auto", "true", "false"]
    """Write to a data stream; auto: when one of data_stream_* is given and `index` is not. Logstash 8 and later does so with
    hosts alone; here that means daily indices. One of auto, true, false. Default: auto.
    """

    data_stream_type: str
    """First part of the data stream's name. Default: logs."""

    data_stream_dataset: str
    """Second part of the data stream's name. Default: generic."""

    data_stream_namespace: str
    """Third part of the data stream's name. Default: default."""

    document_type: str
    """The _type of all documents, where the server wants one: Elasticsearch 6. Others ignore it. Default: doc."""

    action: str
    """index, create, update or delete, or %{field}; data streams take create only. Default: create."""

    document_id: str
    """auto: made from where the event came from, so that a replay never duplicates; none: Elasticsearch makes one, and a
    replay duplicates; else a text with %{field}. Default: auto.
    """

    keep_metadata: bool
    """Store a Beat's @metadata too. Otherwise it is only used for ids and references, as in Logstash. Default: False."""

    routing: str | None
    """Routing value, %{field} allowed."""

    version: str | None
    """Document version, usually %{field}; needs `version_type`."""

    version_type: Literal["internal", "external", "external_gt", "external_gte"] | None
    """How `version` is compared. One of internal, external, external_gt, external_gte."""

    pipeline: str | None
    """Ingest pipeline, %{field} allowed."""

    doc_as_upsert: bool
    """update: create the document when it isn't there. Default: False."""

    upsert: str | None
    """update: the JSON document to create when there is none."""

    script: str | None
    """update: a script (its text, or its id with `script_type` indexed)."""

    script_lang: str
    """update: the language of an inline script. Default: painless."""

    script_type: Literal["inline", "indexed"]
    """update: where the script is. One of inline, indexed. Default: inline."""

    script_var_name: str
    """update: the event's name among the script's params. Default: event."""

    scripted_upsert: bool
    """update: run the script for a missing document too. Default: False."""

    retry_on_conflict: int
    """update: how often Elasticsearch itself tries again. Default: 1."""

    user: str | None
    """User name; needs `password`."""

    password: str | None
    """Password of `user`."""

    api_key: str | None
    """API key, as id:key or in its encoded form."""

    aws_sigv4: Literal["auto", "es", "aoss", "none"]
    """Sign requests for Amazon OpenSearch Service (es) or Serverless (aoss) with the job's AWS credentials; auto: where the
    address is Amazon's and no other credentials are given. One of auto, es, aoss, none. Default: auto.
    """

    elasticsearch_role_arn: str | None
    """Role to assume for the signatures, where it isn't the job's own."""

    cloud_id: str | None
    """Elastic Cloud id, instead of `hosts`."""

    custom_headers: dict[str, str]
    """Further HTTP headers."""

    path: str | None
    """Path in front of every request's path, when Elasticsearch is behind a proxy."""

    proxy: str | None
    """URL of an HTTP proxy."""

    parameters: dict[str, str]
    """Further query parameters of the bulk."""

    ssl_enabled: bool | None
    """TLS for hosts without a scheme."""

    ssl_certificate_authorities: str | None
    """PEM file of the authorities to trust; else the system's."""

    ssl_certificate: str | None
    """PEM file of our certificate; needs `ssl_key`."""

    ssl_key: str | None
    """PEM file of its key."""

    ssl_verification_mode: Literal["full", "certificate", "none"]
    """full: certificate and name; certificate: no name; none: nothing. One of full, certificate, none. Default: full."""

    ca_trusted_fingerprint: str | None
    """SHA-256, in hex, of a certificate that the server presents: its authority, or its own. It is the only one that is
    trusted; chain and host name are verified by it.
    """

    http_compression: bool | None
    """Whether bulks are gzipped; unless said: yes, except towards this machine itself."""

    compression_level: int
    """1 to 9: more for less traffic and more CPU. Default: 1."""

    timeout: int
    """Seconds until a request is given up, in all, and sent again. Default: 60."""

    retry_initial_interval: float
    """Seconds before the first try again, with jitter. Default: 2.0."""

    retry_max_interval: float
    """Seconds between tries at most; the waits double up to it. Default: 64.0."""

    blocked_index_timeout: float
    """Seconds that an index which refuses every document (read-only, closed, its disks full, denied) is waited for; then its
    events become dead letters. A constant `index` is waited for without end. Default: 300.0.
    """

    dlq_custom_codes: int | Sequence[int]
    """Statuses of documents that go to the dead letters instead of being tried again."""

    silence_errors_in_log: str | Sequence[str]
    """Error types of refused documents that aren't logged, only kept."""

    manage_template: bool
    """Install our index template at start. Default: False."""

    template: str | None
    """JSON file of another index template; sets `manage_template`."""

    template_name: str
    """The index template's name. Default: penstock."""

    template_overwrite: bool
    """Replace a template of that name that is there already. Default: False."""

    ilm_enabled: Literal["auto", "true", "false"]
    """Name an ILM policy in the template; auto: when the server has ILM and `ilm_policy` is given. One of auto, true, false.
    Default: auto.
    """

    ilm_policy: str | None
    """The ILM policy that the template names."""

    ism_policy: str | None
    """OpenSearch, with `manage_template`: the ISM policy that manages the template's indices. Its ism_template gets their
    pattern.
    """

    ilm_rollover_alias: str | None
    """Rollover alias that the template sets; write to it."""

    ilm_pattern: str
    """Suffix of the first index behind `ilm_rollover_alias`. Default: 000001."""

    sniffing: bool
    """Find the cluster's other nodes and use them too. Default: False."""

    sniffing_delay: float
    """Seconds between two looks for nodes. Default: 60.0."""

    bulk_max_count: int
    """Documents in one bulk at most; fewer: more bulks at a time, more CPU. Default: 1000."""

    bulk_max_bytes: int
    """Bytes of one bulk before compression at most; a larger single document goes alone. Default: 5242880."""

    max_bulks_in_flight: int
    """Bulks under way at the same time. Default: 4."""

    stop_timeout: float
    """Seconds that a stopping job still tries to write what it has read. Default: 30.0."""
