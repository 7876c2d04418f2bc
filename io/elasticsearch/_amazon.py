"""`_amazon` knows Amazon's search services: their addresses, what may use them, and how their denials read. Pure.

Two services take signed requests: `es` (a domain of OpenSearch or Elasticsearch) and `aoss` (a collection of OpenSearch
Serverless). Each has two gates. IAM, or the domain's access policy, lets the request in (`es:ESHttpPost`,
`aoss:APIAccessAll`). Behind it, the domain's security plugin or the collection's data access policy lets it write.

Sources: https://docs.aws.amazon.com/opensearch-service/latest/developerguide/ac.html,
https://docs.aws.amazon.com/opensearch-service/latest/developerguide/serverless-data-access.html, and for the host names
.../serverless-collection-endpoints.html. The texts of denials are those that AWS' own clients report in their issues.
"""

import json
import re
from collections.abc import Sequence
from typing import NamedTuple

from penstock.io.preflight.iam import Arns, Statement, statement

__all__ = ["Place", "data_access_policy", "denial", "expired", "place_of", "role_of", "statements"]

_HOSTS = (
    r"(?P<name>[^.]+)\.(?P<region>[a-z0-9-]+)\.(?P<service>es|aoss)(?:-fips)?\.amazonaws\.com(?:\.cn)?",
    r"(?P<name>[^.]+)\.(?P<service>aos|aoss)(?:-fips)?\.(?P<region>[a-z0-9-]+)\.on\.aws",
)
_DOMAIN = re.compile(r"(?:search-|vpc-)?(.+?)(?:-[a-z0-9]{26})?")
"""What surrounds a domain's name in its address: the kind of access, and a random text."""

_REFUSAL = re.compile(r"User: (?P<user>\S+) is not authorized to perform: (?P<action>[\w-]+:\w+)")
_CLOCK = re.compile(r"[Ss]ignature expired|[Ss]ignature not yet current|is now (?:earlier|later) than")
_SCOPE = re.compile(r"Credential should be scoped|scoped to (?:correct|a valid)")
_SIGNATURE = re.compile(r"signature we calculated does not match|InvalidSignature|SignatureDoesNotMatch")
_KEYS = re.compile(r"security token included in the request is|UnrecognizedClient|InvalidClientTokenId")
_UNSIGNED = re.compile(r"User: anonymous is not authorized|Missing Authentication Token")


class Place(NamedTuple):
    """What an address of Amazon says: the service that signs, the region, and the domain's name or collection's id."""

    service: str
    region: str
    name: str


def place_of(host: str) -> Place | None:
    """Reads a host name; None where it isn't one that Amazon gives to a domain or a collection."""
    for pattern in _HOSTS:
        if found := re.fullmatch(pattern, host.lower()):
            service = "aoss" if found["service"] == "aoss" else "es"
            known = _DOMAIN.fullmatch(found["name"]) if service == "es" else None
            return Place(service, found["region"], known[1] if known else found["name"])
    return None


def statements(service: str, name: str, arns: Arns, *, puts: bool = False) -> tuple[Statement, ...]:
    """Gives the IAM statements that writing needs.

    Args:
        service: `es` or `aoss`.
        name: of the domain, or the collection's id; "" where the address doesn't say.
        arns: how the account's resources are named, in the service's region.
        puts: whether the job installs a template.
    """
    if service == "aoss":
        return (statement("Search", ["aoss:APIAccessAll", "aoss:BatchGetCollection"], arns.collection(name)),)
    actions = ["es:ESHttpGet", "es:ESHttpPost", *(["es:ESHttpHead", "es:ESHttpPut"] if puts else [])]
    return (statement("Search", actions, f"{arns.domain(name)}/*"),)


def role_of(principal: str) -> str:
    """Gives the ARN that policies name: of a session's role the role's, of anybody else their own."""
    found = re.fullmatch(r"arn:([\w-]+):sts::(\d+):assumed-role/([^/]+)/.+", principal)
    return f"arn:{found[1]}:iam::{found[2]}:role/{found[3]}" if found else principal


def data_access_policy(
    collection: str, indices: Sequence[str], principal: str, *, templates: bool = False
) -> str:
    """Gives a collection's data access policy, in one line, that lets a principal write.

    Args:
        collection: its name.
        indices: the indices, as patterns.
        principal: who writes, by ARN.
        templates: whether the job installs a template.
    """
    rules = [
        {
            "ResourceType": "index",
            "Resource": [f"index/{collection}/{index}" for index in indices],
            "Permission": [
                "aoss:CreateIndex",
                "aoss:DescribeIndex",
                "aoss:UpdateIndex",
                "aoss:WriteDocument",
            ],
        }
    ]
    if templates:
        items = ["aoss:CreateCollectionItems", "aoss:DescribeCollectionItems", "aoss:UpdateCollectionItems"]
        rules.append(
            {"ResourceType": "collection", "Resource": [f"collection/{collection}"], "Permission": items}
        )
    return json.dumps([{"Rules": rules, "Principal": [role_of(principal)]}])


def expired(reason: str) -> bool:
    """Whether AWS calls the credentials expired, so that new ones may help."""
    return "security token included in the request is expired" in reason or "ExpiredToken" in reason


def denial(reason: str, service: str, resource: str) -> str:
    """Says what to do about a 403 of AWS; "" where it is none that we know.

    Args:
        reason: AWS' own words.
        service: `es` or `aoss`; "" where our requests are not signed.
        resource: the domain or the collection, by ARN.
    """
    if not service:
        return (
            "Sign the requests by --aws_sigv4 es, or give --user and --password"
            if _UNSIGNED.search(reason)
            else ""
        )
    if _CLOCK.search(reason):
        return "This machine's clock is off by more than 5 minutes: set it (NTP)"
    if expired(reason):
        return "The AWS credentials have expired: renew them (aws sso login, a new session token)"
    if _SCOPE.search(reason):
        return "Check --aws_sigv4 (es: a domain, aoss: a collection) and --region: they are part of the signature"
    if _SIGNATURE.search(reason):
        return (
            "AWS finds another signature: check the secret key, and that nothing in between changes Host, path, body or "
            "the headers x-amz-*"
        )
    if _KEYS.search(reason):
        return "AWS does not know these keys: check access key, secret and session token"
    found = _REFUSAL.search(reason)
    if found is None:
        return ""
    who, action = role_of(found["user"]), found["action"]
    place = "the domain's access policy, or" if service == "es" else "the IAM policy"
    where = f"{place} that of {who}" if service == "es" else f"{place} of {who}"
    return f"Allow {action} on {resource} in {where}; penstock check --policy prints it"
