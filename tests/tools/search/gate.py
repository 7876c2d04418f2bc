"""`Gate` verifies signatures as AWS does, and answers as AWS does where one is wrong; what is right goes on to a server.

It is written from AWS' description, and shares no code with the signer: it makes the canonical request of what came over the
wire. AWS' own test vectors say whether it makes it right (tests/unit/elasticsearch/amazon).

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html
"""

import contextlib
import datetime
import hashlib
import hmac
import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import quote, unquote

from tests.tools.peers.fake_http import Answer, FakeHttp, Request, fake_http

ALGORITHM = "AWS4-HMAC-SHA256"
_SKEW = datetime.timedelta(minutes=5)
_AUTHORIZATION = re.compile(
    rf"{ALGORITHM} Credential=([^/]+)/(\d{{8}})/([^/]+)/([^/]+)/aws4_request, "
    r"SignedHeaders=(\S+), Signature=([0-9a-f]{64})"
)
_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and "
    "signing method. Consult the service documentation for details."
)
Secrets = Mapping[str, tuple[str, str | None]]
"""Access key -> secret key and session token."""


def canonical_request(
    method: str, target: str, headers: Mapping[str, str], signed: list[str], digest: str
) -> str:
    path, _, query = target.partition("?")
    segments: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            segments = segments[:-1]
        elif segment not in ("", "."):
            segments.append(quote(segment, safe="-_.~"))
    uri = "/" + "/".join(segments) + ("/" if segments and path.endswith("/") else "")
    pairs = [each.partition("=")[::2] for each in query.split("&") if each]
    encoded = sorted((_encoded(name), _encoded(value)) for name, value in pairs)
    lines = [f"{name}:{' '.join(headers[name].split())}\n" for name in signed]
    asked = "&".join(f"{name}={value}" for name, value in encoded)
    return f"{method}\n{uri}\n{asked}\n{''.join(lines)}\n{';'.join(signed)}\n{digest}"


def _encoded(text: str) -> str:
    return quote(unquote(text.replace("+", " ")), safe="-_.~")


def string_to_sign(canonical: str, moment: str, scope: str) -> str:
    return f"{ALGORITHM}\n{moment}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"


def signature(secret: str, text: str, day: str, region: str, service: str) -> str:
    key = f"AWS4{secret}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.new(key, text.encode(), "sha256").hexdigest()


class Gate:
    """What stands in front of a domain or a collection.

    Attributes:
        secrets: who is known.
        expired: access keys whose session has ended.
        clock: gives the time here.
        allowed: whether a policy lets a known principal in.
        accepted: how many requests were.
    """

    def __init__(self, secrets: Secrets, service: str = "es", region: str = "eu-west-1") -> None:
        self.secrets = secrets
        self.service = service
        self.region = region
        self.expired: set[str] = set()
        self.clock: Callable[[], datetime.datetime] = lambda: datetime.datetime.now(datetime.UTC)
        self.allowed = True
        self.accepted = 0

    def refusal(self, request: Request) -> Answer | None:
        """How AWS refuses a request; None where it lets it in."""
        told = self._told(request)
        if told:
            return 403, json.dumps({"message": told}).encode()
        if not self.allowed and self.service == "aoss":
            return (
                403,
                b'{"status":403,"request-id":"r","error":{"reason":"403 Forbidden","type":"Forbidden"}}',
            )
        if not self.allowed:
            return 403, _not_allowed("arn:aws:sts::111122223333:assumed-role/worker/penstock", request.method)
        self.accepted += 1
        return None

    def _told(self, request: Request) -> str:
        found = _AUTHORIZATION.fullmatch(request.headers.get("authorization", ""))
        if found is None:
            return json.loads(_not_allowed("anonymous", request.method))["Message"]
        key, day, region, service, names, claimed = found.groups()
        if (region, service) != (self.region, self.service):
            return f"Credential should be scoped to a valid region and to correct service: '{self.service}'."
        secret, token = self.secrets.get(key, ("", None))
        if not secret or request.headers.get("x-amz-security-token") != token:
            return "The security token included in the request is invalid."
        if key in self.expired:
            return "The security token included in the request is expired"
        moment = request.headers.get("x-amz-date", "")
        late = self._late(moment)
        if late:
            return late
        signed = names.split(";")
        must = {name for name in request.headers if name == "host" or name.startswith("x-amz-")}
        digest = hashlib.sha256(request.body).hexdigest()
        sent = request.headers.get("x-amz-content-sha256", digest if self.service == "es" else "")
        if not must <= set(signed) or signed != sorted(signed) or sent != digest or moment[:8] != day:
            return _MISMATCH
        canonical = canonical_request(request.method, request.path, request.headers, signed, digest)
        text = string_to_sign(canonical, moment, f"{day}/{region}/{service}/aws4_request")
        return "" if signature(secret, text, day, region, service) == claimed else _MISMATCH

    def _late(self, moment: str) -> str:
        now = self.clock()
        then = datetime.datetime.strptime(moment, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.UTC)
        if then < now - _SKEW:
            return f"Signature expired: {moment} is now earlier than {now - _SKEW:%Y%m%dT%H%M%SZ} ({now} - 5 min.)"
        if then > now + _SKEW:
            return f"Signature not yet current: {moment} is still later than {now + _SKEW:%Y%m%dT%H%M%SZ}"
        return ""


def _not_allowed(who: str, method: str) -> bytes:
    action = f"es:ESHttp{method.capitalize()}"
    why = f"User: {who} is not authorized to perform: {action} because no resource-based policy allows the {action} action"
    return json.dumps({"Message": why}).encode()


@contextlib.contextmanager
def gate_before(gate: Gate, behind: Callable[[Request], Answer]) -> Iterator[FakeHttp]:
    """A server whose requests pass the gate before `behind` answers them."""
    with fake_http(lambda request: gate.refusal(request) or behind(request)) as fake:
        yield fake


def forwarded_to(url: str) -> Callable[[Request], Answer]:
    """Answers as the real server does that is at `url`."""

    def answer(request: Request) -> Answer:
        headers = {
            name: value
            for name, value in request.headers.items()
            if name in ("accept", "content-type", "content-encoding")
        }
        given = urllib.request.Request(
            url + request.path, request.body or None, headers, method=request.method
        )
        try:
            with urllib.request.urlopen(given, timeout=60) as reply:
                return reply.status, reply.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    return answer


class TokenService:
    """An STS that gives keys to whoever assumes a role, and a gate's secrets.

    Attributes:
        given: access keys in the order in which they were given.
        lasts: how long keys last, as STS says.
    """

    def __init__(self, gate: Gate, lasts: datetime.timedelta = datetime.timedelta(hours=1)) -> None:
        self._secrets: dict[str, tuple[str, str | None]] = {}
        gate.secrets = self._secrets
        self._gate = gate
        self.given: list[str] = []
        self.lasts = lasts
        self.status = 200

    def answer(self, request: Request) -> Answer:
        if self.status != 200:
            return self.status, b"<ErrorResponse><Error><Code>InternalFailure</Code></Error></ErrorResponse>"
        if b"GetCallerIdentity" in request.body:
            arn = "arn:aws:sts::111122223333:assumed-role/worker/penstock"
            return 200, _reply("GetCallerIdentity", f"<Arn>{arn}</Arn>")
        key = f"ASIA{len(self.given):016}"
        self.given.append(key)
        self._secrets[key] = (f"secret-{key}", f"token-{key}")
        ends = self._gate.clock() + self.lasts
        fields = f"<AccessKeyId>{key}</AccessKeyId><SecretAccessKey>secret-{key}</SecretAccessKey>"
        fields += (
            f"<SessionToken>token-{key}</SessionToken><Expiration>{ends:%Y-%m-%dT%H:%M:%SZ}</Expiration>"
        )
        return 200, _reply("AssumeRole", f"<Credentials>{fields}</Credentials>")


def _reply(operation: str, fields: str) -> bytes:
    result = f"<{operation}Result>{fields}</{operation}Result>"
    name = "https://sts.amazonaws.com/doc/2011-06-15/"
    return f'<{operation}Response xmlns="{name}">{result}</{operation}Response>'.encode()
