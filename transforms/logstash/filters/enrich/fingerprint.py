"""The filter `fingerprint` makes a hash of fields."""

import base64
import hashlib
import hmac
import ipaddress
import unicodedata
import uuid
from collections.abc import Callable
from typing import Any

import mmh3

from penstock.transforms.logstash.base import ECS, Filter, Option, Work
from penstock.transforms.logstash.filters.patterns._expand import to_integer
from penstock.transforms.logstash.values._ruby import ruby_text
from penstock.transforms.logstash.values.event import MISSING, LogEvent

__all__ = ["Fingerprint"]

_DIGESTS = {"SHA1": "sha1", "SHA256": "sha256", "SHA384": "sha384", "SHA512": "sha512", "MD5": "md5"}
_METHODS = (*_DIGESTS, "MURMUR3", "MURMUR3_128", "IPV4_NETWORK", "UUID", "PUNCTUATION")

Hash = Callable[[Any], Any]


class Fingerprint(Filter):
    """Makes a hash of one or more fields, to recognise an event or to hide a value."""

    name = "fingerprint"
    options = (
        Option("source", "array", ["message"], doc="the fields"),
        Option(
            "target", "field_reference", doc="the field that gets the hash; by default ECS's, or fingerprint"
        ),
        Option("key", "password", doc="the key of an HMAC, or the length of the prefix for IPV4_NETWORK"),
        Option("method", "choice", "SHA1", choices=_METHODS, doc="how the hash is made"),
        Option("base64encode", "boolean", False, doc="whether the hash is written in base64"),
        Option("concatenate_sources", "boolean", False, doc="whether all fields make one hash"),
        Option("concatenate_all_fields", "boolean", False, doc="whether all of the event makes one hash"),
        ECS,
    )

    def compile(self) -> Work:
        """Chooses the hash once."""
        ecs = self.ecs
        target = self.reference(self["target"] or ("[event][hash]" if ecs else "fingerprint"))
        method = self["method"]
        if method == "UUID":

            def identify(event: LogEvent) -> bool:
                target.set(event, str(uuid.uuid4()))
                return True

            return identify
        sources = [self.reference(str(each)) for each in self["source"]]
        ordered = sorted(sources, key=lambda field: field.text)
        if method == "PUNCTUATION":

            def punctuate(event: LogEvent) -> bool:
                for field in ordered:
                    value = field.get(event)
                    if value is MISSING:
                        continue
                    if type(value) is not str:
                        message = f"PUNCTUATION takes texts, and {field.text} holds a {type(value).__name__}"
                        raise TypeError(message)
                    target.set(event, "".join(each for each in value if _is_mark(each)))
                return True

            return punctuate
        make = self._hash()
        together, everything = self["concatenate_sources"], self["concatenate_all_fields"]

        def work(event: LogEvent) -> bool:
            if together or everything:
                if everything:
                    pairs = [
                        (key, value) for key, value in sorted(event.document.items()) if key != "@metadata"
                    ]
                else:
                    pairs = [(field.text, field.get(event)) for field in ordered]
                text = "".join(f"|{name}|{_text(value)}" for name, value in pairs) + "|"
                target.set(event, make(text))
                return True
            for field in sources:
                value = field.get(event)
                if value is MISSING:
                    continue
                if type(value) is list:
                    target.set(event, [make(each) for each in value])
                else:
                    target.set(event, make(value))
            return True

        return work

    def _hash(self) -> Hash:
        method, key, in_base64 = self["method"], self["key"], self["base64encode"]
        if method == "IPV4_NETWORK":
            if key is None:
                message = "must be the length of the prefix for IPV4_NETWORK"
                raise self.refuse(message, "key")
            return lambda value: _network(_text(value), to_integer(str(key)))
        if method == "MURMUR3":
            return lambda value: mmh3.hash(_bytes(value), signed=False)
        if method == "MURMUR3_128":
            return lambda value: _murmur128(_bytes(value, 4), in_base64=in_base64)
        name = _DIGESTS[method]
        secret = None if key is None else str(key).encode()

        def digest(value: Any) -> str:
            text = _text(value).encode("utf-8", "surrogatepass")
            made = hashlib.new(name, text) if secret is None else hmac.new(secret, text, name)
            return base64.b64encode(made.digest()).decode() if in_base64 else made.hexdigest()

        return digest


def _is_mark(character: str) -> bool:
    return unicodedata.category(character)[0] in "PS"


def _text(value: Any) -> str:
    """Gives the text that is hashed: arrays and objects joined by `|`, objects by the order of their names."""
    if value is MISSING or value is None:
        return ""
    if type(value) is list:
        return "|" + "|".join(map(_text, value)) + "|"
    if type(value) is dict:
        return "|" + "|".join(f"{key}|{_text(inner)}" for key, inner in sorted(value.items())) + "|"
    return ruby_text(value)


def _bytes(value: Any, least: int = 8) -> bytes:
    if type(value) is int:
        size = least if value.bit_length() <= 8 * least else 8
        return int(value & (2 ** (8 * size) - 1)).to_bytes(size, "little")
    return _text(value).encode("utf-8", "surrogatepass")


def _murmur128(data: bytes, *, in_base64: bool) -> str:
    made = mmh3.hash_bytes(data, seed=2)
    low, high = int.from_bytes(made[:8], "little"), int.from_bytes(made[8:], "little")
    whole = low.to_bytes(8, "big") + high.to_bytes(8, "big")
    return base64.b64encode(whole).decode() if in_base64 else whole.hex()


def _network(text: str, prefix: int) -> str:
    """Gives the network of an address. Raises `ValueError` for another text: the event becomes a dead letter."""
    return str(ipaddress.ip_network((text, prefix), strict=False).network_address)
