"""`_http` reads the head of a request for the status page, decides who is answered, and writes an answer down. Pure.

- Only GET and HEAD; nothing here changes anything.
- The Host header must be a plain address, `localhost`, or a name from --status_names: a rebound name is none of them.
- A request that a browser marks as coming from another site is refused, except a link to the page.
"""

import dataclasses
import ipaddress
import json
from email.utils import formatdate
from urllib.parse import urlsplit

POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
MAX_HEADERS = 100
_PHRASES = {
    200: "OK",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    421: "Misdirected Request",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}
_HEADERS = (
    "Cache-Control: no-store\r\nConnection: close\r\nCross-Origin-Opener-Policy: same-origin\r\n"
    "Cross-Origin-Resource-Policy: same-origin\r\nReferrer-Policy: no-referrer\r\n"
    "X-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\n"
)


@dataclasses.dataclass(frozen=True)
class Request:
    """A request's head. `headers` have names in lower case, in order."""

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]

    def all(self, name: str) -> list[str]:
        """Gives the values of a header."""
        return [value for each, value in self.headers if each == name]


@dataclasses.dataclass(frozen=True)
class Answer:
    """The answer to a request."""

    status: int
    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    policy: str = POLICY

    def encode(self, *, head_only: bool = False) -> bytes:
        """Gives the answer's bytes."""
        allow = "Allow: GET, HEAD\r\n" if self.status == 405 else ""
        head = (
            f"HTTP/1.1 {self.status} {_PHRASES[self.status]}\r\nServer: penstock\r\n"
            f"Date: {formatdate(usegmt=True)}\r\nContent-Type: {self.content_type}\r\n"
            f"Content-Length: {len(self.body)}\r\nContent-Security-Policy: {self.policy}\r\n{_HEADERS}{allow}\r\n"
        )
        return head.encode("latin-1") + (b"" if head_only else self.body)


def end_of_head(received: bytes | bytearray) -> int:
    """Gives the bytes of the head, with the empty line behind it; 0 while that hasn't come."""
    ends = [at + len(mark) for mark in (b"\r\n\r\n", b"\n\n") if (at := received.find(mark)) >= 0]
    return min(ends, default=0)


def read_head(head: bytes) -> Request | Answer:
    """Reads the request; for anything else gives a refusal."""
    first, *lines = head.decode("latin-1").replace("\r\n", "\n").rstrip("\n").split("\n")
    words = first.split(" ")
    if len(words) != 3 or not words[1].startswith("/") or not words[2].startswith("HTTP/"):
        if len(words) == 3 and words[2].startswith("HTTP/") and words[0] not in ("GET", "HEAD"):
            return Answer(405, b"Only GET and HEAD.\n")
        return Answer(400, b"That is no request by HTTP/1.1.\n")
    method, target, version = words
    if version not in ("HTTP/1.0", "HTTP/1.1"):
        return Answer(505, b"Only HTTP/1.1.\n")
    if method not in ("GET", "HEAD"):
        return Answer(405, b"Only GET and HEAD.\n")
    if len(lines) > MAX_HEADERS:
        return Answer(431, b"Too many headers.\n")
    headers = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            return Answer(400, b"A header is no header.\n")
        headers.append((name.lower(), value.strip()))
    path, _, query = target.partition("?")
    return Request(method, path, query, tuple(headers))


def refusal_of(request: Request, names: set[str]) -> Answer | None:
    """Gives the refusal of a request; None where it is answered.

    Args:
        request: the request.
        names: the host names that are ours, in lower case.
    """
    hosts = request.all("host")
    if len(hosts) != 1 or not is_ours(hosts[0], names):
        told = json.dumps(hosts[0][:100] if hosts else "")
        return Answer(421, f"This job does not answer to the name {told}; see --status_names.\n".encode())
    site = next(iter(request.all("sec-fetch-site")), "none")
    mode = next(iter(request.all("sec-fetch-mode")), "")
    # Another site may link to the page, but may fetch nothing of it.
    if site not in ("none", "same-origin") and (request.path != "/" or mode != "navigate"):
        return Answer(403, b"Not for other sites.\n")
    return None


def is_ours(host: str, names: set[str]) -> bool:
    """Whether a Host header names us: an address or one of our names, with or without a port."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if any(character in host for character in "/@?#\\ "):
        return False
    if name.rstrip(".") in names:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
