"""An OpenSearch with its security plugin: TLS by an authority of the test, users and roles by its API."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests import servers
from tests.tools.samples.certificates import Authority
from tests.tools.search.sink import Api

ADMIN = ("admin", "changeme-1")
_HASH = "$2b$04$MN4iMIrFW2NM1Jpll7/tQOpsE/.3lkcxKyAE39TIbTG2BzrTh42M2"
"""bcrypt of the admin's password."""

_USERS = {
    "_meta": {"type": "internalusers", "config_version": 2},
    "admin": {"hash": _HASH, "reserved": True, "backend_roles": ["admin"]},
}


class SecureOpenSearch:
    """A server, its authority, and what the admin may do."""

    def __init__(self, url: str, authority: Path) -> None:
        self.url = url
        self.authority = authority
        self.api = Api(url, authority=authority, user=ADMIN)

    def user(self, name: str, password: str, role: dict[str, Any] | None) -> None:
        """Makes a user, and where a role is given also a role of that name for it."""
        self.api("PUT", f"/_plugins/_security/api/internalusers/{name}", {"password": password})
        if role is not None:
            self.api("PUT", f"/_plugins/_security/api/roles/{name}", role)
            self.api("PUT", f"/_plugins/_security/api/rolesmapping/{name}", {"users": [name]})


@contextlib.contextmanager
def secure_opensearch(folder: Path) -> Iterator[SecureOpenSearch]:
    authority = Authority(folder)
    certificate, key = authority.issue("node")
    ssl = "plugins.security.ssl"
    settings: dict[str, Any] = {
        f"{ssl}.http.enabled": True,
        f"{ssl}.transport.enforce_hostname_verification": False,
        "plugins.security.allow_default_init_securityindex": True,
        "plugins.security.restapi.roles_enabled": ["all_access"],
        "plugins.security.nodes_dn": ["CN=node,O=Example"],
    }
    for layer in ("transport", "http"):
        settings |= {
            f"{ssl}.{layer}.pemcert_filepath": "node.crt",
            f"{ssl}.{layer}.pemkey_filepath": "node.key",
            f"{ssl}.{layer}.pemtrustedcas_filepath": "ca.pem",
        }
    files = {
        "node.crt": certificate.read_bytes(),
        "node.key": key.read_bytes(),
        "ca.pem": authority.certificate.read_bytes(),
        "opensearch-security/internal_users.yml": json.dumps(_USERS).encode(),
    }
    with servers.private_search_server(
        "opensearch-2.19.1-security", settings=settings, files=files, admin=ADMIN
    ) as server:
        yield SecureOpenSearch(server.url, authority.certificate)
