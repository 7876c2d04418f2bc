"""`Signer` signs requests to Amazon's search services, by botocore's signer (Signature Version 4).

A request is signed where it is sent, so a request that is tried again has a new time in its signature. AWS compares the
signature with one that it makes of the request as it came: so what is signed is the compressed body, and the query as
AWS writes it (every sign but letters, digits and `-_.~` encoded), however it stands in our URL. The body's hash goes
with the request (`x-amz-content-sha256`), as Serverless asks.

Credentials renew themselves: botocore looks at their end before each request. AWS may call them expired even so; then
the client asks for new ones, once.
"""

import functools
import hashlib
from typing import Any
from urllib.parse import parse_qsl

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ClientError, CredentialRetrievalError, HTTPClientError
from botocore.exceptions import ConnectionError as BotocoreConnectionError
from elastic_transport import ConnectionError as NoConnection
from elastic_transport import HttpHeaders

from penstock.io.aws.error_codes import EXPIRED_CODES, THROTTLED_CODES
from penstock.io.aws.session import AwsOptions, AwsSession, explain
from penstock.io.elasticsearch.options import ElasticsearchOptions

__all__ = ["NoKeys", "Signer", "principal_of"]

_session = functools.lru_cache(maxsize=8)(AwsSession)
"""The session of one identity: a process asks for the credentials of a role once."""


class NoKeys(NoConnection):
    """There are no credentials at the moment, because whoever gives them does not answer."""


class Signer:
    """Signs the requests to one domain or collection. Safe from any thread.

    Args:
        options: name the service, and who signs.
    """

    def __init__(self, options: ElasticsearchOptions) -> None:
        self._service = options.signs_for
        self._region = options.signing.region
        self._session = _session(options.signing)

    @property
    def credentials(self) -> Credentials:
        """What signs at the moment, for `renew`. Raises `AccessDenied` where there are none."""
        return self._session.credentials()

    def renew(self, stale: Credentials) -> None:
        """Looks for credentials again, after AWS has called these expired."""
        self._session.renew(stale)

    def sign(self, method: str, origin: str, target: str, headers: HttpHeaders, body: bytes | None) -> None:
        """Adds the headers of a signature to a request.

        Args:
            method: the HTTP method.
            origin: scheme, host and port.
            target: path and query.
            headers: are changed. A `host` among them is signed instead of the origin's.
            body: as it is sent.

        Raises:
            AccessDenied: there are no credentials, or the role may not be assumed.
            NoKeys: there are none at the moment; the request may be tried again.
        """
        path, _, query = target.partition("?")
        headers["x-amz-content-sha256"] = hashlib.sha256(body or b"").hexdigest()
        signed = {
            name: value
            for name, value in headers.items()
            if name in ("host", "content-type") or name.startswith("x-amz-")
        }
        pairs: Any = parse_qsl(query, keep_blank_values=True)  # botocore encodes and sorts them
        request = AWSRequest(method, origin + path, signed, body, pairs)
        SigV4Auth(self._keys(), self._service, self._region).add_auth(request)
        headers.update({name.lower(): str(value) for name, value in request.headers.items()})

    def _keys(self) -> Any:
        credentials = self._session.credentials()
        try:
            return credentials.get_frozen_credentials()
        except (ClientError, BotoCoreError) as error:
            if not _is_expired(error):
                raise self._failed(error) from error
        self._session.renew(credentials)  # the source of a role has expired
        try:
            return self._session.credentials().get_frozen_credentials()
        except (ClientError, BotoCoreError) as error:
            raise self._failed(error) from error

    def _failed(self, error: ClientError | BotoCoreError) -> Exception:
        """Turns botocore's error into one that ends the job, or into one after which the request is tried again."""
        if isinstance(error, ClientError):
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
            passing = status >= 500 or error.response.get("Error", {}).get("Code") in THROTTLED_CODES
        else:
            passing = isinstance(error, (BotocoreConnectionError, HTTPClientError, CredentialRetrievalError))
        if passing:
            return NoKeys(f"no AWS credentials at the moment: {error}", errors=(error,))
        return explain(error, self._session, "AssumeRole", self._role, "get AWS credentials")

    @property
    def _role(self) -> str:
        return self._session.options.role_arn or "the role"


def _is_expired(error: ClientError | BotoCoreError) -> bool:
    return isinstance(error, ClientError) and error.response.get("Error", {}).get("Code") in EXPIRED_CODES


def principal_of(aws: AwsOptions) -> str:
    """Gives the ARN by which AWS knows this identity, or a phrase where AWS does not say."""
    return _session(aws).principal()
