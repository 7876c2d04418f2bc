"""`client` sends requests to Elasticsearch and explains its errors; no other file talks to it.

The official client's transport (`elastic_transport`) keeps the nodes and leaves out dead ones for a while. Requests go
through it with bytes on both sides. The official client above it would parse and serialise our bytes again (15-21 CPU-s
per million events against 1). It never tries again by itself: the writer retries, counts and backs off.

Bulks are the same in versions 8 and 9 of the REST API, so our requests name no version.
"""

import logging
import re
import zlib
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec
import orjson
from elastic_transport import ConnectionTimeout, Serializer, TlsError, Transport, TransportError
from isal import igzip
from urllib3.exceptions import ProxyError

from penstock.io.elasticsearch._amazon import data_access_policy, denial, expired, role_of
from penstock.io.elasticsearch._dialects import ELASTICSEARCH, Dialect, misfit, plugin_denies
from penstock.io.elasticsearch.bulk._bulk import FILTER_PATH, IDS_PATH
from penstock.io.elasticsearch.bulk._reasons import Cause, sentences, shortened
from penstock.io.elasticsearch.cluster._roles import index_pattern, installs, needed_role, to_paste
from penstock.io.elasticsearch.cluster.connection import node_class
from penstock.io.elasticsearch.cluster.nodes import nodes
from penstock.io.elasticsearch.cluster.signing import NoKeys, Signer, principal_of
from penstock.io.elasticsearch.cluster.sniffing import Sniffer
from penstock.io.elasticsearch.options import ElasticsearchOptions
from penstock.io.errors import AccessDenied, PeerError, Unreachable
from penstock.io.preflight.iam import Arns

__all__ = [
    "Client",
    "NoAnswer",
    "cause_in",
    "compress",
    "decoded",
    "explain",
    "is_amazons",
    "reason_in",
    "role_to_paste",
    "unreachable",
]

_HINTS = (
    ("no AWS credentials", "It is tried again; check --elasticsearch_role_arn and --role_arn."),
    ("the proxy", "Check --proxy."),
    ("WRONG_VERSION_NUMBER", "Check --hosts: is http meant?"),
    ("closed (the )?connection without", "Check --hosts: is https meant?"),
    (
        "certificate is not valid for|doesn't match|subjectAltName",
        "Name the node in --hosts as its certificate does.",
    ),
    ("certificate has expired", "Renew the node's certificate, or look at this machine's clock."),
    ("certificate is not yet valid", "Look at this machine's clock, and at the node's."),
    (
        "certificate verify failed",
        "Give its authority by --ssl_certificate_authorities, or --ca_trusted_fingerprint.",
    ),
    ("chain has that fingerprint", "Check --ca_trusted_fingerprint."),
    (
        "--max_reply_bytes",
        "Check --hosts and --path: is that Elasticsearch? If it is, raise --max_reply_bytes.",
    ),
    ("the reply is encoded", "Check --hosts and --path: is that Elasticsearch?"),
    ("", "Check --hosts and that it runs."),
)
"""A pattern of the text of a failed connection -> what to do."""

_JSON = "application/json"
_NDJSON = "application/x-ndjson"


class NoAnswer(Exception):
    """There is no reply: refused, reset or timed out. The text says which, without the body."""


class _AsTheyAre(Serializer):
    """Leaves bodies as bytes on both sides; the caller knows what they mean."""

    def dumps(self, data: bytes) -> bytes:
        return data

    def loads(self, data: bytes) -> bytes:
        return data


_SERIALIZERS: dict[str, Serializer] = {
    kind: _AsTheyAre() for kind in (_JSON, _NDJSON, "application/*", "binary/*", "text/*", "text/plain")
}


class Client:
    """Sends requests to the cluster that the options name. Safe from any thread; opens nothing until it is used.

    Args:
        options: the options of the sink.
        connections: requests that may be under way to one node at the same time.
    """

    def __init__(self, options: ElasticsearchOptions, connections: int | None = None) -> None:
        self._options = options
        self._headers = {"accept": _JSON}
        self._bulk_headers = {"accept": _JSON, "content-type": _NDJSON}
        if options.compresses:
            self._bulk_headers["content-encoding"] = "gzip"
        self.speak(ELASTICSEARCH)
        # We log one line per minute; the library would log one for every try.
        for name in ("node_pool", "transport"):
            logging.getLogger(f"elastic_transport.{name}").setLevel(logging.ERROR)
        found = nodes(options, connections or options.max_bulks_in_flight + 1)
        self.where = ", ".join(f"{node.scheme}://{node.host}:{node.port}{node.path_prefix}" for node in found)
        self._signer = Signer(options) if options.signs_for else None
        self._transport = Transport(
            found,
            node_class=node_class(options, self._signer),
            serializers=_SERIALIZERS,
            max_retries=0,
            retry_on_status=(),
            max_dead_node_backoff=10.0,
            meta_header=False,
        )
        self._sniffer = Sniffer(self._transport, options.sniffing_delay, options.timeout)

    def bulk(self, body: bytes) -> tuple[int, bytes]:
        """Sends one bulk body. Gives status and reply, whatever they are.

        Raises:
            NoAnswer: there is no reply; whether Elasticsearch wrote anything is unknown.
        """
        if self._options.compresses:
            body = compress(body, self._options.compression_level)
        return self._perform("POST", self._bulk_target, body, self._bulk_headers)

    def call(self, method: str, target: str, document: Any = None) -> tuple[int, Any]:
        """Makes a rare call. Gives status and decoded reply (text where it is no JSON). Raises `NoAnswer`."""
        headers, body = self._headers, None
        if document is not None:
            headers, body = {**headers, "content-type": _JSON}, orjson.dumps(document)
        status, reply = self._perform(method, target, body, headers)
        return status, decoded(reply)

    def speak(self, dialect: Dialect) -> None:
        """From now on sends bulks as this server wants them."""
        path = FILTER_PATH if dialect.ordered else FILTER_PATH + IDS_PATH
        parameters = {**self._options.parameters, "filter_path": path}
        self._bulk_target = "/_bulk?" + urlencode(parameters, safe=",*")

    def root(self) -> tuple[int, Any]:
        """Asks what answers: status and reply of `GET /`, for `dialect_of`. Raises `NoAnswer`."""
        status, reply = self.call("GET", "/")
        if status == 405:  # a server without its root page (the integration-test distribution)
            status, reply = self.call("GET", "/_nodes/_local?filter_path=nodes.*.version")
            nodes = reply.get("nodes", {}) if isinstance(reply, dict) else {}
            reply = {"version": {"number": next((node.get("version") for node in nodes.values()), None)}}
        return status, reply

    def _perform(
        self, method: str, target: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[int, bytes]:
        if self._options.sniffing:
            self._sniffer.look()
        if self._signer is None:
            return self._send(method, target, body, headers)
        credentials = self._signer.credentials
        status, reply = self._send(method, target, body, headers)
        if status == 403 and expired(reason_in(decoded(reply))):
            self._signer.renew(credentials)
            return self._send(method, target, body, headers)
        return status, reply

    def _send(
        self, method: str, target: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[int, bytes]:
        try:
            response = self._transport.perform_request(
                method, target, body=body, headers=headers, request_timeout=self._options.timeout
            )
        except TransportError as error:
            raise NoAnswer(_short(error)) from error
        meta, body = response.meta, response.body or b""
        if 300 <= meta.status < 400:
            return meta.status, orjson.dumps({"error": _redirect(meta.headers.get("location"))})
        return meta.status, body if isinstance(body, bytes) else orjson.dumps(body)

    def close(self) -> None:
        """Closes all connections."""
        self._transport.close()


def decoded(reply: bytes) -> Any:
    """Gives what a reply says: decoded JSON, else its text; None where it is empty."""
    try:
        return orjson.loads(reply) if reply else None
    except orjson.JSONDecodeError:
        return reply.decode(errors="replace")


def _redirect(location: str | None) -> str:
    """Says where a reply sends us, without possible secrets."""
    parts = urlsplit(location or "")
    place = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}" if parts.netloc else parts.path
    return f"it redirects to {shortened(place, 200) or 'nowhere'}. Give that address by --hosts and --path"


def compress(body: bytes, level: int) -> bytes:
    """Gives `body` as gzip; up to level 3 by isal, which costs a fifth of zlib's time at its level 1."""
    if level <= 3:
        return bytes(igzip.compress(body, compresslevel=min(level, 3)))
    return zlib.compress(body, level, wbits=31)


def explain(
    status: int,
    reply: Any,
    options: ElasticsearchOptions,
    where: str,
    doing: str,
    dialect: Dialect = ELASTICSEARCH,
    role: Mapping[str, Any] | None = None,
) -> PeerError:
    """Turns an HTTP status that ends the job into one of our errors.

    Args:
        status: the HTTP status.
        reply: the decoded reply.
        options: tell which options to look at.
        where: the nodes, in words.
        doing: what we were doing, as in "cannot {doing}".
        dialect: what answers.
        role: what it takes to read letters, where that was denied.
    """
    reason = reason_in(reply) or "no reason given"
    # OpenSearch says 401 in a word, before it has told what it is.
    server = (
        f"{'the server' if status == 401 and not isinstance(reply, dict) else dialect.product} at {where}"
    )
    if status == 401:
        given = "--api_key" if options.api_key else "--user and --password"
        message = f"cannot {doing}: {server} refuses the credentials (401). Check {given}."
        if not options.authenticates:
            message = (
                f"cannot {doing}: {server} asks who we are (401). Give PENSTOCK_API_KEY, or --user "
                "and PENSTOCK_PASSWORD."
            )
        return AccessDenied(message)
    if status == 403:
        return AccessDenied(f"cannot {doing}: {sentences(*_denied(reason, options, server, dialect, role))}")
    if status == 404:
        message = f"cannot {doing}: {where} answers 404. Check --hosts and --path: is that Elasticsearch?"
        return PeerError(message)
    return PeerError(
        f"cannot {doing}: {server} answers {status}: {sentences(reason, misfit(reason)).removesuffix('.')}"
    )


def _denied(
    reason: str,
    options: ElasticsearchOptions,
    server: str,
    dialect: Dialect,
    role: Mapping[str, Any] | None,
) -> Iterator[str]:
    """Gives what a 403 means, and what to do, in sentences."""
    signs_for = options.signs_for
    who = options.user or ("the API key" if options.api_key else "an anonymous user")
    if signs_for:
        who = principal_of(options.signing)
    yield f"{server} denies it to {who} (403): {reason}"
    if plugin_denies(reason):
        yield role_to_paste(options, dialect, role)
        return
    place, arns = options.amazon, Arns(options.signing.region)
    name = place.name if place else ""
    resource = arns.collection(name) if signs_for == "aoss" else arns.domain(name)
    found = denial(reason, signs_for, resource)
    yield found
    if signs_for == "aoss" and not found:
        policy = data_access_policy("COLLECTION", [index_pattern(options)], who, templates=installs(options))
        yield f"It needs aoss:APIAccessAll on {resource} by IAM, and in the collection's data access policy {policy}"


def role_to_paste(
    options: ElasticsearchOptions, dialect: Dialect, role: Mapping[str, Any] | None = None
) -> str:
    """Gives the two calls, in one line, that let whoever the options name do what they need on an OpenSearch."""
    principal = role_of(principal_of(options.signing)) if options.signs_for else None
    if role is None:
        return to_paste("penstock", needed_role(options), options.user, dialect, principal)
    return to_paste("penstock-letters", role, options.user, dialect, principal)


def is_amazons(status: int, reply: Any, options: ElasticsearchOptions) -> bool:
    """Whether AWS refused the request in front of the server, so that nothing is known of the server."""
    return status == 403 and bool(denial(reason_in(reply), options.signs_for, ""))


def reason_in(reply: Any) -> str:
    """Gives the reason in a decoded reply, in one line: Elasticsearch's, or that of AWS or a proxy; "" without one."""
    found = reply
    if isinstance(reply, dict):
        found = next((reply[name] for name in ("error", "Message", "message") if reply.get(name)), "")
    if isinstance(found, dict):
        found = found.get("reason") or found.get("type")
    return shortened(str(found or ""), 500)


def cause_in(reply: Any) -> Cause:
    """Gives the error in a decoded reply, with its causes; of another peer its text."""
    error = reply.get("error") if isinstance(reply, dict) else None
    if isinstance(error, dict):
        try:
            return msgspec.convert(error, Cause)
        except msgspec.ValidationError:
            pass  # nonsense, which may still hold a text
    return Cause("", reason_in(reply) or None)


def unreachable(error: NoAnswer, where: str, doing: str) -> Unreachable:
    """Turns a missing reply into one of our errors."""
    hint = next(hint for told, hint in _HINTS if re.search(told, str(error)))
    return Unreachable(f"cannot {doing}: no answer from Elasticsearch at {where} ({error}). {hint}")


def _short(error: TransportError) -> str:
    if isinstance(error, NoKeys):
        return " ".join(str(error.message).split())[:300]
    if isinstance(error, TlsError):
        return f"TLS: {' '.join(str(error.message).split())[:200]}"
    if isinstance(error, ConnectionTimeout):
        return "timed out"
    cause: BaseException = error
    at = ""
    while inner := cause.__cause__ or cause.__context__:
        cause = inner
        at = "the proxy: " if isinstance(cause, ProxyError) else at
    return at + (" ".join(str(cause).split())[:200] or type(cause).__name__)
