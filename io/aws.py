"""AWS sessions for every connector, and the IAM action behind each call.

boto3 finds credentials (keys given, profile, role, the standard chain), refreshes and signs; we add what it
leaves out: an error that names the principal, the IAM action, the resource and the way out. The action is
kept beside the call it belongs to (`ACTIONS`), so messages and docs come from one place.
"""

import dataclasses
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
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
)
from botocore.exceptions import (
    ConnectionError as BotocoreConnectionError,
)

from penstock.io.errors import AccessDenied, NotFound, OptionError, PeerError, PenstockError, Unreachable
from penstock.io.options import option

__all__ = [
    "ACTIONS",
    "DENIED_CODES",
    "THROTTLED_CODES",
    "AwsOptions",
    "AwsSession",
    "explain",
    "explain_code",
]

ACTIONS = {
    "AssumeRole": "sts:AssumeRole",
    "CreateTable": "dynamodb:CreateTable",
    "DeleteItem": "dynamodb:DeleteItem",
    "DescribeStreamSummary": "kinesis:DescribeStreamSummary",
    "DescribeTable": "dynamodb:DescribeTable",
    "GetItem": "dynamodb:GetItem",
    "GetRecords": "kinesis:GetRecords",
    "GetShardIterator": "kinesis:GetShardIterator",
    "ListShards": "kinesis:ListShards",
    "PutItem": "dynamodb:PutItem",
    "PutMetricData": "cloudwatch:PutMetricData",
    "PutRecords": "kinesis:PutRecords",
    "Scan": "dynamodb:Scan",
    "UpdateItem": "dynamodb:UpdateItem",
}
"""API call -> the IAM action that allows it (Service Authorization Reference)."""

DENIED_CODES = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "UnauthorizedOperation",
        "UnrecognizedClientException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
        "IncompleteSignature",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "OptInRequired",
        "KMSAccessDeniedException",
    }
)
"""Error codes that no retry can cure."""

THROTTLED_CODES = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "LimitExceededException",
        "KMSThrottlingException",
        "ThrottlingException",
        "Throttling",
        "RequestLimitExceeded",
        "RequestThrottled",
        "SlowDown",
    }
)
"""Error codes that ask for less, not for an end."""


@dataclasses.dataclass(frozen=True)
class AwsOptions:
    """Who we are for AWS, and where its services are."""

    region: str = option("us-east-1", help="AWS region.")
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
    request_timeout: int = option(6000, help="Milliseconds until a reply must begin to arrive.")

    def __post_init__(self) -> None:
        if bool(self.access_key) != bool(self.secret_key):
            message = "--access_key and --secret_key go together: give both or neither."
            raise OptionError(message)
        if self.session_token and not self.access_key:
            message = "--session_token needs --access_key and --secret_key."
            raise OptionError(message)
        if self.access_key and self.profile:
            message = "--access_key and --profile exclude each other."
            raise OptionError(message)
        if self.endpoint_url and not self.endpoint_url.startswith(("http://", "https://")):
            message = f"--endpoint_url {self.endpoint_url!r} must start with http:// or https://."
            raise OptionError(message)
        for name in ("connect_timeout", "request_timeout"):
            if getattr(self, name) < 1:
                message = f"--{name} must be at least 1 (milliseconds)."
                raise OptionError(message)


class AwsSession:
    """A botocore session for the options: credentials that refresh themselves, clients, our principal.

    Safe from any thread. Nothing is sent until a client makes a call (or a role must be assumed).
    """

    def __init__(self, options: AwsOptions) -> None:
        self.options = options
        self._lock = threading.Lock()
        self._clients: dict[str, Any] = {}
        try:
            self._session = botocore.session.Session(profile=options.profile)
            self._session.set_config_variable("region", options.region)
            if options.access_key and options.secret_key:
                self._session.set_credentials(options.access_key, options.secret_key, options.session_token)
            if options.role_arn:
                self._assume(options.role_arn)
        except ProfileNotFound as error:
            message = f"--profile {options.profile}: no such profile in the AWS configuration files."
            raise OptionError(message) from error

    def _assume(self, role_arn: str) -> None:
        source = self._session.get_credentials()
        if source is None:
            raise _no_credentials()
        fetcher = AssumeRoleCredentialFetcher(
            client_creator=self._create_sts,
            source_credentials=source,
            role_arn=role_arn,
            extra_args={"RoleSessionName": self.options.role_session_name},
        )
        self._assumed = DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")
        # botocore has no public setter for credentials that refresh themselves.
        vars(self._session)["_credentials"] = self._assumed

    def _create_sts(self, service: str, **given: Any) -> Any:
        return self._session.create_client(service, **{**given, **self._client_arguments()})

    def _client_arguments(self) -> dict[str, Any]:
        options = self.options
        return {
            "region_name": options.region,
            "endpoint_url": options.endpoint_url,
            "verify": options.verify_certificate,
            "config": Config(
                connect_timeout=options.connect_timeout / 1000,
                read_timeout=options.request_timeout / 1000,
                retries={"mode": "standard", "max_attempts": 4},
                user_agent_extra="penstock",
            ),
        }

    def client(self, service: str) -> Any:
        """The service's boto client (`kinesis`, `dynamodb`, ...), one a session."""
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self._session.create_client(service, **self._client_arguments())
            return self._clients[service]

    def credentials(self) -> Credentials:
        """What signs requests; raises `AccessDenied` when the standard chain finds nothing."""
        found = self._session.get_credentials()
        if found is None:
            raise _no_credentials()
        return found

    def principal(self) -> str:
        """Who AWS says we are (sts:GetCallerIdentity needs no permission), or a phrase when it won't say."""
        try:
            return str(self.client("sts").get_caller_identity()["Arn"])
        except (BotoCoreError, ClientError):
            return "the credentials in use"


def _no_credentials() -> AccessDenied:
    message = (
        "no AWS credentials found. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give --profile, or run "
        "where an instance or task role is attached."
    )
    return AccessDenied(message)


def explain(
    error: Exception, session: AwsSession, operation: str, resource: str, doing: str
) -> PenstockError:
    """A botocore exception as one of ours.

    Args:
        error: what botocore raised.
        session: whose call it was.
        operation: the API call, a key of `ACTIONS`.
        resource: the ARN or name that the call was about, with its option where it has one.
        doing: what we were doing, as in "cannot {doing}".
    """
    if isinstance(error, ClientError):
        details = error.response.get("Error", {})
        return explain_code(
            str(details.get("Code", "")), str(details.get("Message", "")), session, operation, resource, doing
        )
    if isinstance(error, (NoCredentialsError, PartialCredentialsError)):
        return _no_credentials()
    if isinstance(error, (BotocoreConnectionError, HTTPClientError)):
        where = session.options.endpoint_url or f"the AWS endpoint of {session.options.region}"
        message = f"cannot {doing}: no answer from {where}. Check --endpoint_url, --region and the network."
        return Unreachable(message)
    return PeerError(f"cannot {doing}: {type(error).__name__}: {error}")


def explain_code(
    code: str, text: str, session: AwsSession, operation: str, resource: str, doing: str
) -> PenstockError:
    """An AWS error code as one of ours; the arguments are those of `explain`, `text` is the service's own."""
    if code in ("ExpiredToken", "ExpiredTokenException"):
        message = f"cannot {doing}: the AWS credentials have expired. Renew them (aws sso login, a new session token)."
        return AccessDenied(message)
    if code in (
        "UnrecognizedClientException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
    ):
        message = (
            f"cannot {doing}: AWS refuses the credentials ({code}). Check the access key and secret, "
            f"and that they belong to {session.options.region}."
        )
        return AccessDenied(message)
    if code in DENIED_CODES:
        action = (
            "kms:Decrypt"
            if code.startswith("KMS") and operation.startswith("Get")
            else ACTIONS.get(operation, operation)
        )
        if code.startswith("KMS") and operation.startswith("Put"):
            action = "kms:GenerateDataKey"
        message = f"cannot {doing}: access denied. {session.principal()} needs {action} on {resource}. See docs/iam.md."
        return AccessDenied(message)
    if code == "ResourceNotFoundException":
        message = f"cannot {doing}: {resource} does not exist in {session.options.region}. Check the name and --region."
        return NotFound(message)
    return PeerError(f"cannot {doing}: {code}: {text[:300]}")
