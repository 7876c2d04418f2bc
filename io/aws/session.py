"""`session` makes AWS sessions for every connector, and turns AWS' errors into lines that name the IAM action.

boto3 finds credentials (keys given, profile, role, the standard chain), refreshes and signs; we add what it
leaves out: an error that names the principal, the IAM action, the resource and the way out. The action is
kept beside the call it belongs to (`error_codes`), so messages and docs come from one place.
"""

import dataclasses
import http.client
import os
import re
import ssl
import threading
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    Credentials,
    DeferredRefreshableCredentials,
)
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConfigParseError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)
from botocore.exceptions import (
    ConnectionError as BotocoreConnectionError,
)

from penstock.io.aws.bounded import bound_replies, fast_session
from penstock.io.aws.bucket_region import ask_once
from penstock.io.aws.error_codes import ACTIONS, BAD_KEY_CODES, DENIED_CODES, EXPIRED_CODES, THROTTLED_CODES
from penstock.io.aws.no_answer import no_answer
from penstock.io.aws.sense import BadReply, promised
from penstock.io.errors import AccessDenied, NotFound, OptionError, PeerError, PenstockError, Unreachable
from penstock.io.http.replies import max_reply_bytes
from penstock.io.options import option, require_address
from penstock.io.preflight.certificate_files import load_authorities

__all__ = [
    "AwsOptions",
    "AwsSession",
    "explain",
    "explain_code",
    "require_role",
]


@dataclasses.dataclass(frozen=True)
class AwsOptions:
    """Who we are for AWS, and where its services are."""

    region: str = option(
        "",
        help="AWS region. Without it, AWS_REGION or AWS_DEFAULT_REGION of the environment, else us-east-1.",
    )
    endpoint_url: str | None = option(
        None, help="Address that serves all AWS services of the job (an emulator, a VPC endpoint)."
    )
    profile: str | None = option(
        None, help="Profile of the AWS configuration files; else the standard chain."
    )
    access_key: str | None = option(None, help="Access key id; needs --secret_key. Else the standard chain.")
    secret_key: str | None = option(None, help="Secret access key; needs --access_key.", secret=True)
    session_token: str | None = option(None, help="Session token of temporary keys.", secret=True)
    role_arn: str | None = option(None, help="Role to assume with those credentials.")
    role_session_name: str = option("penstock", help="Session name under which the role is assumed.")
    verify_certificate: bool = option(True, help="Whether TLS certificates of AWS endpoints are verified.")
    connect_timeout: int = option(6000, help="Milliseconds until a connection must stand.")
    request_timeout: int = option(
        6000,
        help="Milliseconds that a request may take in all, and a second more for each 500 KB that it and its reply have.",
    )
    max_reply_bytes: int = max_reply_bytes()

    def __post_init__(self) -> None:
        found = self.region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        object.__setattr__(self, "region", found or "us-east-1")
        if bool(self.access_key) != bool(self.secret_key):
            message = "--access_key and --secret_key go together: give both or neither."
            raise OptionError(message)
        if self.session_token and not self.access_key:
            message = "--session_token needs --access_key and --secret_key."
            raise OptionError(message)
        if self.access_key and self.profile:
            message = "--access_key and --profile exclude each other."
            raise OptionError(message)
        if self.endpoint_url:
            require_address("--endpoint_url", self.endpoint_url, "keys, a profile or a role")
        require_role("--role_arn", self.role_arn)
        for name in ("connect_timeout", "request_timeout"):
            if getattr(self, name) < 1:
                message = f"--{name} must be at least 1 (milliseconds)."
                raise OptionError(message)
        if self.max_reply_bytes < 1:
            message = "--max_reply_bytes must be at least 1."
            raise OptionError(message)


def require_role(flag: str, arn: str | None) -> None:
    """Raises `OptionError` unless `arn` looks like a role's."""
    if arn is not None and not re.match(r"arn:.*\brole/.", arn):
        message = f"{flag} {arn!r} is no role's ARN (arn:aws:iam::111122223333:role/NAME)."
        raise OptionError(message)


_BUNDLE = "AWS_CA_BUNDLE (or ca_bundle of the AWS configuration, or REQUESTS_CA_BUNDLE)"


class AwsSession:
    """A botocore session: it has credentials that refresh themselves, makes clients, and knows our principal.

    Safe from any thread. Nothing is sent until a client makes a call (or a role must be assumed). Raises `OptionError` where
    the file of authorities (`AWS_CA_BUNDLE`) is none.
    """

    def __init__(self, options: AwsOptions) -> None:
        self.options = options
        self._lock = threading.RLock()
        self._clients: dict[tuple[str, bool, int], Any] = {}
        self._session = self._build()
        if isinstance(path := self.ca_bundle, str) and not (options.endpoint_url or "").startswith("http:"):
            load_authorities(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), _BUNDLE, path)

    def _build(self) -> botocore.session.Session:
        options = self.options
        session = fast_session(options.profile)
        try:
            session.set_config_variable("region", options.region)
            session.get_scoped_config()  # a profile that isn't there shows only now
            if options.access_key and options.secret_key:
                session.set_credentials(options.access_key, options.secret_key, options.session_token)
            if options.role_arn:
                self._assume(session, options.role_arn)
        except ProfileNotFound as error:
            given = f"--profile {options.profile}" if options.profile else f"AWS_PROFILE {session.profile}"
            message = f"{given}: no such profile in the AWS configuration files."
            raise OptionError(message) from error
        except ConfigParseError as error:
            message = f"the AWS configuration files can't be read: {error}. Repair them, or give keys."
            raise OptionError(message) from error
        return session

    def _assume(self, session: botocore.session.Session, role_arn: str) -> None:
        source = session.get_credentials()
        if source is None:
            raise _no_credentials()

        def create_sts(service: str, **given: Any) -> Any:
            made = session.create_client(service, **{**given, **self._client_arguments()})
            return self._bound(made)

        fetcher = AssumeRoleCredentialFetcher(
            client_creator=create_sts,
            source_credentials=source,
            role_arn=role_arn,
            extra_args={"RoleSessionName": self.options.role_session_name},
        )
        # botocore has no public setter for credentials that refresh themselves.
        vars(session)["_credentials"] = DeferredRefreshableCredentials(
            fetcher.fetch_credentials, "assume-role"
        )

    def _client_arguments(self, *, retries: bool = True, max_connections: int = 10) -> dict[str, Any]:
        options = self.options
        return {
            "region_name": options.region,
            "endpoint_url": options.endpoint_url,
            # None lets AWS_CA_BUNDLE, the profile's ca_bundle and REQUESTS_CA_BUNDLE have their say.
            "verify": None if options.verify_certificate else False,
            "config": Config(
                connect_timeout=options.connect_timeout / 1000,
                read_timeout=options.request_timeout / 1000,
                retries={"mode": "standard", "total_max_attempts": 4 if retries else 1},
                max_pool_connections=max_connections,
                user_agent_extra="penstock",
            ),
        }

    def _bound(self, client: Any) -> Any:
        return bound_replies(client, self.options.max_reply_bytes, self.options.request_timeout / 1000)

    def client(self, service: str, *, retries: bool = True, max_connections: int = 10) -> Any:
        """Gives the service's boto client (`kinesis`, `dynamodb`, ...), the same one for the same arguments.

        Args:
            service: botocore's name of the service.
            retries: whether botocore tries a failed call again (4 attempts); False where the caller does.
            max_connections: the most connections that are kept open to the service.
        """
        key = (service, retries, max_connections)
        with self._lock:
            if key not in self._clients:
                arguments = self._client_arguments(retries=retries, max_connections=max_connections)
                try:
                    made = self._session.create_client(service, **arguments)
                    made = ask_once(made) if service == "s3" else made
                    self._clients[key] = self._bound(made)
                except (ValueError, BotoCoreError) as error:
                    message = (
                        f"cannot make a client for {service}: {error}. Check --region and --endpoint_url."
                    )
                    raise OptionError(message) from error
            return self._clients[key]

    def call(self, service: str, method: str, *, retries: bool = True, **arguments: Any) -> Any:
        """Makes a call on the service's client; where AWS calls the credentials expired, once more with new ones.

        Args:
            service: botocore's name of the service.
            method: the client's method, such as `list_shards`.
            retries: as in `client`.
            arguments: of the call.

        Raises:
            AccessDenied: the standard chain finds no credentials.
            BotoCoreError, ClientError: as botocore raises them (see `explain`); `BadReply` where its parser gives up.
        """
        credentials = self.credentials()

        def call() -> Any:
            client = self.client(service) if retries else self.client(service, retries=False)
            with promised():
                return getattr(client, method)(**arguments)

        try:
            return call()
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") not in EXPIRED_CODES:
                raise
        self.renew(credentials)
        return call()

    def call_explained(
        self, service: str, method: str, /, operation: str, resource: str, doing: str, **arguments: Any
    ) -> Any:
        """Makes the call as `call` does, with errors for a person; the last arguments are those of `explain`.

        Raises:
            PenstockError: the call failed for good, or too often; botocore's exception is its cause.
        """
        try:
            return self.call(service, method, **arguments)
        except (BotoCoreError, ClientError) as error:
            raise explain(error, self, operation, resource, doing) from error

    def credentials(self) -> Credentials:
        """Gives the credentials that sign requests. Raises `AccessDenied` when the standard chain finds none."""
        with self._lock:
            found = self._session.get_credentials()
        if found is None:
            raise _no_credentials()
        return found

    def renew(self, stale: Credentials) -> None:
        """Looks for credentials again after AWS called these expired, even where they say that they are valid.

        Files are read again and roles assumed again; of several threads that saw the same expiry only
        the first does the work. Keys given as options stay what they are.
        """
        with self._lock:
            if self._session.get_credentials() is stale:
                self._session = self._build()
                self._clients.clear()

    @property
    def ca_bundle(self) -> str | bool:
        """The file that TLS certificates are verified against; True for the usual authorities, False for no verification."""
        if not self.options.verify_certificate:
            return False
        configured = self._session.get_config_variable("ca_bundle")
        return configured or os.environ.get("REQUESTS_CA_BUNDLE") or True

    def principal(self) -> str:
        """Gives the ARN by which AWS knows us, or a phrase where AWS does not say.

        Sts:GetCallerIdentity needs no permission.
        """
        try:
            with promised():
                return str(self.client("sts", retries=False).get_caller_identity()["Arn"])
        except (BotoCoreError, ClientError, PenstockError):
            return "the job's principal"


def _no_credentials() -> AccessDenied:
    message = (
        "no AWS credentials found. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give --profile, or run "
        "where an instance or task role is attached."
    )
    return AccessDenied(message)


def explain(
    error: Exception, session: AwsSession, operation: str, resource: str, doing: str
) -> PenstockError:
    """Turns a botocore exception into one of ours.

    Args:
        error: what botocore raised.
        session: whose call it was.
        operation: the API call, a key of `ACTIONS`. A role that can't be assumed has its own message.
        resource: the ARN or name that the call was about, with its option where it has one.
        doing: what we were doing, as in "cannot {doing}".
    """
    if isinstance(error, PenstockError):
        return error
    if isinstance(error, ClientError):
        details = error.response.get("Error", {})
        if error.operation_name == "AssumeRole" and operation != "AssumeRole":
            operation, resource = "AssumeRole", session.options.role_arn or "the role"
        return explain_code(
            str(details.get("Code", "")), str(details.get("Message", "")), session, operation, resource, doing
        )
    if isinstance(error, (NoCredentialsError, PartialCredentialsError)):
        return _no_credentials()
    if isinstance(error, (SSOError, TokenRetrievalError)):
        return AccessDenied(f"cannot {doing}: the AWS sign-on session has expired. Run aws sso login.")
    if isinstance(error, (BotocoreConnectionError, HTTPClientError)):
        found = no_answer(error, _endpoint(session))
        return Unreachable(f"cannot {doing}: {found.words}. {found.cure}")
    if isinstance(error, BadReply):
        return PeerError(f"cannot {doing}: {error}. Check --endpoint_url, and proxies in between.")
    return PeerError(f"cannot {doing}: {type(error).__name__}: {error}"[:600])


def _endpoint(session: AwsSession) -> str:
    return session.options.endpoint_url or f"the AWS endpoint of {session.options.region}"


_REFUSAL = re.compile(
    r"User: (?P<user>arn:\S+) is not authorized to perform: (?P<action>[\w-]+:\w+)"
    r"(?: on resource: (?P<resource>arn:\S+))?"
)
"""The text of IAM's denials; the resource is left out by some services and by emulators."""


def explain_code(
    code: str, text: str, session: AwsSession, operation: str, resource: str, doing: str
) -> PenstockError:
    """Turns an AWS error code into one of our errors; the arguments are those of `explain`, `text` is the service's own."""
    status = code.removeprefix("HTTP")
    if status.isdigit():
        # A body that isn't in the service's protocol (an emulator, a proxy): botocore passes it on raw.
        told = re.search(r"<Code>(\w+)</Code>", text)
        if told:
            code = told[1]
        elif text != http.client.responses.get(int(status)):  # else a reply to HEAD, which has no body
            said = " ".join([f"{status}:", *re.sub(r"<[^>]*>", " ", text).split()])[:200].removesuffix(":")
            message = (
                f"cannot {doing}: what answers at {_endpoint(session)} does not speak as AWS does ({said}). "
                "Check --endpoint_url, and proxies in between."
            )
            return PeerError(message)
        elif status in ("401", "403"):
            code = "AccessDenied"
    if code in EXPIRED_CODES:
        message = f"cannot {doing}: the AWS credentials have expired. Renew them (aws sso login, a new session token)."
        return AccessDenied(message)
    if code in BAD_KEY_CODES:
        clock = " The clock of this machine is off." if "xpired" in text or "not yet" in text else ""
        message = (
            f"cannot {doing}: AWS refuses the credentials ({code}).{clock} Check the access key and secret, "
            f"and that they belong to {session.options.region}."
        )
        return AccessDenied(message)
    if code in DENIED_CODES:
        user, action = None, ACTIONS.get(operation, operation)
        refusal = _REFUSAL.search(text)
        if refusal:
            user = refusal["user"]
            if refusal["action"].partition(":")[2] != operation:
                action = refusal["action"]
            resource = refusal["resource"] or resource
        elif code.startswith("KMS"):
            action = "kms:GenerateDataKey" if operation.startswith("Put") else "kms:Decrypt"
            resource = f"the key that encrypts {resource}"
        message = (
            f"cannot {doing}: access denied. {user or session.principal()} needs {action} on {resource}. "
            "See docs/iam.md."
        )
        return AccessDenied(message)
    if code.startswith("KMS") and code not in THROTTLED_CODES:
        message = (
            f"cannot {doing}: the KMS key that encrypts {resource} is not usable ({code}: {text[:200]}). "
            "Enable the key, or give the stream another one."
        )
        return PeerError(message)
    if code in ("NoSuchBucket", "ResourceNotFoundException"):
        message = f"cannot {doing}: {resource} does not exist in {session.options.region}. Check the name and --region."
        return NotFound(message)
    return PeerError(f"cannot {doing}: {code}: {' '.join(text.split())[:300]}")
