"""`no_answer` says in a few words why AWS, or what stands for it, could not be talked to: network, TLS, or another protocol.

The words of OpenSSL, urllib3 and botocore are for programmers, and hide the reason behind three wrappers. Here the
reason is looked up in a table of known texts. An unknown text is shown as it is, in at most 200 characters.
"""

import re
from typing import NamedTuple
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError

__all__ = ["NoAnswer", "no_answer"]

_MAX_TEXT = 200
_NETWORK = "Check --endpoint_url, --region and the network."
_CLOCK = "and look at this machine's clock"

# Each row: what OpenSSL or urllib3 says of a certificate, the reason in our words, and what to do.
_TLS = (
    (
        r"certificate is not valid for|doesn't match|Hostname mismatch|IP address mismatch|subjectAltName",
        "its certificate is for another host name",
        "Name the host in --endpoint_url as its certificate does.",
    ),
    (
        r"certificate has expired",
        "its certificate has expired",
        f"Renew it, {_CLOCK}.",
    ),
    (
        r"certificate is not yet valid",
        "its certificate is not valid yet",
        f"Wait, {_CLOCK}.",
    ),
    (
        r"certificate verify failed",
        "its certificate is signed by an authority that this machine does not know",
        "Give a file with that authority in AWS_CA_BUNDLE.",
    ),
    (
        r"wrong version number|record layer failure|unknown protocol|http request",
        "it answers in plain text",
        "Give --endpoint_url with http://, or the port that speaks TLS.",
    ),
    (
        r"certificate required|bad certificate",
        "it asks for a client certificate, and penstock has none",
        "Give another --endpoint_url.",
    ),
    (
        r"Could not find a suitable TLS CA certificate bundle|invalid path|No such file",
        "the file with authorities is not there",
        "Look at AWS_CA_BUNDLE, and at ca_bundle in the AWS configuration.",
    ),
    (r"\[SSL|SSLError|SSL:", "", "Look at proxies in between, and at AWS_CA_BUNDLE."),
)
_REASONS = (
    (r"refused", "connection refused"),
    (
        r"getaddrinfo|[Nn]ame or service not known|NameResolution|nodename nor|name resolution",
        "unknown host name",
    ),
    (r"doesn't speak HTTP|BadStatusLine|BadHTTP", "what answers does not speak HTTP; is it TLS?"),
    (r"tunnel|[Pp]roxy", "the proxy does not let it through"),
    (r"timed? ?out|Timeout", "timed out"),
    (r"reset|Broken pipe", "connection reset"),
    (r"closed|Aborted|RemoteDisconnected|EOF", "it closed the connection"),
    (r"unreachable|No route", "no route to it"),
)


class NoAnswer(NamedTuple):
    """Why there was no answer.

    Attributes:
        words: who did not answer, and why: `no answer from http://127.0.0.1:9 (connection refused)`.
        cure: what to do, as a sentence.
    """

    words: str
    cure: str


def no_answer(error: Exception, address: str) -> NoAnswer:
    """Explains an exception of botocore, urllib3 or the socket.

    Args:
        error: what was raised.
        address: who was asked, in words. The exception itself may not say it.
    """
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, BotoCoreError):
        text += f" {error.kwargs.get('error', '')}"
        parts = urlsplit(str(error.kwargs.get("endpoint_url", "")))
        if parts.netloc:
            address = f"{parts.scheme}://{parts.netloc}"
    for pattern, reason, cure in _TLS:
        if re.search(pattern, text, re.IGNORECASE):
            return NoAnswer(f"TLS with {address} fails: {reason or _short(text)}", cure)
    reason = next((words for pattern, words in _REASONS if re.search(pattern, text)), _short(text))
    return NoAnswer(f"no answer from {address} ({reason})", _NETWORK)


def _short(text: str) -> str:
    return " ".join(text.split())[:_MAX_TEXT]
