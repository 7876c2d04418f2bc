"""`_dialects` says what a search server has and how it wants to be spoken to: one `Dialect` for each kind of server. Pure.

A dialect is chosen once, by what `GET /` answers; Serverless has no such page and is known by its address. Nothing else in
the sink compares versions. A server that does not tell its version (no privilege `monitor`) is taken for a current one of
its kind.

Sources: https://www.elastic.co/guide/en/elasticsearch/reference/6.6/removal-of-types.html (`_type`); the release notes of
7.8 (composable templates), 7.9 (data streams); https://github.com/elastic/elasticsearch/issues/101921 (the order);
https://docs.aws.amazon.com/opensearch-service/latest/developerguide/serverless-genref.html
"""

import dataclasses
import re
from typing import Any

__all__ = [
    "ELASTICSEARCH",
    "OPENSEARCH",
    "SERVERLESS",
    "SUPPORTED",
    "Dialect",
    "dialect_of",
    "dialect_that_denies",
    "misfit",
    "offers_no",
    "plugin_denies",
]

SUPPORTED = "Elasticsearch 6.6 to 9 and OpenSearch 1 to 3"
_RENAMED = "7.10.2"
"""The version that OpenSearch tells in its compatibility mode, for clients that look for Elasticsearch's."""


@dataclasses.dataclass(frozen=True)
class Dialect:
    """One kind of search server.

    Attributes:
        product: its name.
        version: its version; "" where it is not told.
        typed: whether a document needs a `_type` (Elasticsearch 6).
        composable: whether it has composable index templates; else the older `_template`.
        data_streams: whether it has data streams.
        lifecycle: who rolls indices over and deletes them: `ilm`, `ism`, or "" for nobody.
        privileges: the path that tells whether we have some privileges; "" where nothing does.
        fine_privileges: whether it has `create_doc` and `auto_configure`; else `create` and `create_index`.
        ordered: whether a bulk's reply has the documents in the order in which they were sent. OpenSearch, and Elasticsearch
            before 8.13, may put those elsewhere that an ingest pipeline drops or fails. So there every document has an id,
            and the reply says it.
        nodes: whether it has nodes, whose health and disks can be looked at, and which can be found by sniffing.
        supported: whether this release speaks to that version.
    """

    product: str
    version: str = ""
    typed: bool = False
    composable: bool = True
    data_streams: bool = True
    lifecycle: str = "ilm"
    privileges: str = "/_security/user/_has_privileges"
    fine_privileges: bool = True
    ordered: bool = True
    nodes: bool = True
    supported: bool = True

    @property
    def plugins(self) -> str:
        """Where OpenSearch's plugins are; an Amazon domain with Elasticsearch has them by their older name."""
        return "_plugins" if self.lifecycle == "ism" else "_opendistro"

    @property
    def has_actions(self) -> bool:
        """Whether its roles hold actions of the server, as OpenSearch's security plugin wants them, and no privileges."""
        return self.product == OPENSEARCH.product

    def __str__(self) -> str:
        return f"{self.product} {self.version}".rstrip()

    @property
    def differences(self) -> str:
        """What a reader of the docs of a current Elasticsearch must know, in one line; "" where there is nothing."""
        told = [
            text
            for differs, text in (
                (self.typed, "documents have a _type"),
                (not self.composable, "the template is one of _template"),
                (not self.data_streams, "no data streams"),
                (self.lifecycle == "ism", "ISM instead of ILM (--ism_policy)"),
                (not self.lifecycle, "no ILM and no ISM"),
                (not self.privileges, "privileges can't be asked for before the first bulk"),
                (not self.nodes, "only search collections take ids"),
            )
            if differs
        ]
        return ", ".join(told)


_MISFITS = (
    (
        "Validation Failed: 1: type is missing;",  # an Elasticsearch 6 that may not be asked for its version
        "It is older than 7 and did not tell its version: grant the cluster privilege monitor.",
    ),
    (
        "Document ID is not supported",
        "Only search collections take ids. A time-series or vector one needs --document_id none: a replay doubles then.",
    ),
)
"""How the reason begins of a server that would refuse all our documents, and what to do. No event's value stands there."""

ELASTICSEARCH = Dialect("Elasticsearch")
OPENSEARCH = Dialect("OpenSearch", lifecycle="ism", privileges="", ordered=False)
SERVERLESS = Dialect("OpenSearch Serverless", data_streams=False, lifecycle="", privileges="", nodes=False)


def offers_no(status: int, reply: Any) -> bool:
    """Whether a server says that it has no such page: it lacks the plugin, or an Amazon domain keeps it shut."""
    shut = isinstance(reply, dict) and "is not allowed" in str(reply.get("Message"))
    return status in (400, 405) or (status in (401, 403) and shut)


def plugin_denies(reply: Any) -> str:
    """Gives the actions that OpenSearch's security plugin says it denies; "" where something else answers.

    An Amazon domain with Elasticsearch has that plugin too.
    """
    found = re.search(r"no permissions for \[(.{1,300}?)\] and ", str(reply))
    return found[1] if found else ""


def dialect_that_denies(reply: Any) -> Dialect:
    """Gives the dialect of the server whose denial this is, so that the role to paste has its form."""
    return OPENSEARCH if plugin_denies(reply) else ELASTICSEARCH


def misfit(reason: str | None) -> str:
    """Gives what to do where a server refuses whatever we send; "" where it refuses only this document."""
    return next((hint for told, hint in _MISFITS if reason and reason.startswith(told)), "")


def dialect_of(status: int, reply: Any) -> Dialect | None:
    """Gives the dialect of the server that answered `GET /` like this; None where it is no search server.

    Args:
        status: the HTTP status: 200, or 403 where we may not look.
        reply: the decoded reply.
    """
    if status == 403:
        return dialect_that_denies(reply)
    told = reply.get("version") if isinstance(reply, dict) else None
    version = told.get("number") if isinstance(told, dict) else None
    if status != 200 or not isinstance(told, dict) or not isinstance(version, str):
        return None
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if numbers is None:
        return None
    major, minor = int(numbers[1]), int(numbers[2])
    if "opensearch" in f"{told.get('distribution', '')} {reply.get('tagline', '')}".lower():
        supported = 1 <= major <= 3 or version == _RENAMED
        return dataclasses.replace(OPENSEARCH, version=version, supported=supported)
    if "distribution" in told:
        return None
    since = (major, minor)
    return Dialect(
        "Elasticsearch",
        version,
        typed=major < 7,
        composable=since >= (7, 8),
        data_streams=since >= (7, 9),
        privileges="/_security/user/_has_privileges"
        if major >= 7
        else "/_xpack/security/user/_has_privileges",
        fine_privileges=since >= (7, 9),
        ordered=since >= (8, 13),
        supported=(6, 6) <= since < (10, 0),
    )
