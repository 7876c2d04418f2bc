"""`account_preflight` holds what all trials of AWS share: one session, who we are, and calls that change nothing.

A permission to write is tried by a request that the service must refuse after it has looked at the permission:

- DynamoDB: a write on a condition that no row can fulfil. The service promises to refuse it, and to change nothing.
- S3: a part of an upload that doesn't exist; nothing could be stored under it.
- KMS: its own `DryRun`.
- Kinesis and CloudWatch have nothing of the kind. A record with a hash key beyond the range, and a metric with both
  `Value` and `Values`, can't be stored; a denial of them is a denial. But AWS doesn't document that it looks at
  permissions before such arguments, so where they are not denied the mark is "not tried", not "ok".
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

from botocore import xform_name
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError
from botocore.parsers import ResponseParserError

from penstock.io.aws.bounded import fast_session
from penstock.io.aws.error_codes import DENIED_CODES, EXPIRED_CODES, THROTTLED_CODES
from penstock.io.aws.session import AwsOptions, AwsSession, explain
from penstock.io.errors import AccessDenied
from penstock.io.preflight.iam import Arns, Statement, narrowed, statement
from penstock.io.preflight.trials import Finding, Trial, failed, fine, not_tried, warning

__all__ = [
    "CREDENTIALS",
    "MADE_UP",
    "NOT_DENIED",
    "AwsAccount",
    "identity_trials",
    "key_trial",
    "metrics_trial",
]

CREDENTIALS = "AWS credentials"
IDENTITY = "AWS identity"
NOT_DENIED = "not denied; not proven either, because nothing was written (docs/iam.md tells more)"
MADE_UP = "penstock-check"
"""The name of what is never stored."""
_UNKNOWN = frozenset({"InvalidAction", "NotImplemented", "UnknownOperation", "UnknownOperationException"})


class AwsAccount:
    """The session that a job's trials share, made by the first of them, behind which the others wait.

    Args:
        options: who we are.
    """

    def __init__(self, options: AwsOptions) -> None:
        self.options = options

    @functools.cached_property
    def session(self) -> AwsSession:
        """The session. Raises `PenstockError` where the options name something that does not exist."""
        return AwsSession(self.options)

    @functools.cached_property
    def identity(self) -> dict[str, str]:
        """`Arn` and `Account`, from STS. Raises boto's exceptions where STS does not say."""
        reply = self.session.client("sts", retries=False).get_caller_identity()
        return {"Arn": str(reply["Arn"]), "Account": str(reply["Account"])}

    @property
    def arns(self) -> Arns:
        """How resources are named, as far as the options tell."""
        role = (self.options.role_arn or "").split(":")
        known = vars(self).get("identity", {}).get("Account")
        account = known or (role[4] if len(role) > 5 else "") or "ACCOUNT"
        return Arns(self.options.region, account, self._partition)

    @functools.cached_property
    def _partition(self) -> str:
        try:
            return str(fast_session().get_partition_for_region(self.options.region))
        except BotoCoreError:
            return "aws"  # an unknown region is told by the first client

    def call(self, service: str, operation: str, resource: str, doing: str, /, **arguments: Any) -> Any:
        """Makes a call that must work; `operation`, `resource` and `doing` as in `penstock.io.aws.session.explain`.

        Raises:
            PenstockError: the call failed.
        """
        return self.session.call_explained(
            service, xform_name(operation), operation, resource, doing, **arguments
        )

    def probe(
        self,
        service: str,
        operation: str,
        resource: str,
        doing: str,
        /,
        *,
        refused_with: Sequence[str],
        action: str = "",
        proves: bool = True,
        **arguments: Any,
    ) -> Finding:
        """Makes a call that the service must refuse, but not for a missing permission.

        Args:
            service: botocore's name of it.
            operation: the API call.
            resource: for the message of a denial.
            doing: likewise.
            refused_with: the error codes of the refusal.
            action: the API call that the IAM action is named after, where that is another one.
            proves: whether the refusal can only come after the permission was looked at.
            arguments: of the call.

        Raises:
            PenstockError: denied, missing, unreachable.
        """
        try:
            getattr(self.session.client(service), xform_name(operation))(**arguments)
        except ParamValidationError:
            return not_tried("this boto3 doesn't know the dry form of the call")
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
            if code in refused_with:
                return fine("allowed (tried without a change)") if proves else not_tried(NOT_DENIED)
            if code in THROTTLED_CODES:
                return not_tried(f"{code}: too many others ask at the moment")
            if code in _UNKNOWN or status >= 500:
                return not_tried(f"the endpoint doesn't answer {operation} ({code})")
            raise explain(error, self.session, action or operation, resource, doing) from error
        except (BotoCoreError, ResponseParserError) as error:
            raise explain(error, self.session, action or operation, resource, doing) from error
        return warning(f"allowed, by an endpoint that took what AWS refuses: look there for {MADE_UP}")


def identity_trials(account: AwsAccount) -> list[Trial]:
    """Gives the trials of the credentials (quick), the role, and who AWS says we are."""

    def credentials() -> Finding:
        found = account.session.credentials()
        return fine(f"found ({found.method})")

    role = account.options.role_arn
    statements = (statement("Role", "sts:AssumeRole", role),) if role else ()
    return [
        Trial(CREDENTIALS, credentials, quick=True),
        Trial(IDENTITY, functools.partial(_identity, account), statements=statements, after=(CREDENTIALS,)),
    ]


def _identity(account: AwsAccount) -> Finding:
    try:
        return fine(account.identity["Arn"])
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        if error.operation_name == "AssumeRole" or code in DENIED_CODES | EXPIRED_CODES:
            raise explain(error, account.session, "GetCallerIdentity", "*", "ask AWS who we are") from error
        return not_tried(f"AWS doesn't say who we are ({code})")
    except (BotoCoreError, ResponseParserError) as error:
        # A network without an STS endpoint is no obstacle to the job.
        return not_tried(f"AWS doesn't say who we are ({type(error).__name__}): sts can't be reached")


def key_trial(
    account: AwsAccount,
    operation: str,
    key: Callable[[], str | None],
    what: str,
    after: tuple[str, ...],
    statements: Callable[[str], tuple[Statement, ...]],
) -> Trial:
    """Gives the trial of whether we may use the KMS key that encrypts something.

    Args:
        account: whose calls they are.
        operation: `GenerateDataKey` to write, `Decrypt` to read.
        key: the key's id, ARN or alias as the service told it; None where nothing is encrypted.
        what: the thing that it encrypts.
        after: see `Trial`.
        statements: what to add for the key's ARN.
    """

    def run() -> Finding:
        name = key()
        if name is None:
            return fine(f"{what} is not encrypted by KMS")
        if name.startswith("alias/aws/") or ":alias/aws/" in name:
            return fine(f"{what} has the key that AWS manages ({name}), which needs no permission")
        given: dict[str, Any] = {"KeyId": name, "DryRun": True}
        if operation == "GenerateDataKey":
            given["KeySpec"] = "AES_256"
        else:
            given["DryRunModifiers"] = ["IGNORE_CIPHERTEXT"]
        arn = account.arns.key(name)
        try:
            return account.probe(
                "kms",
                operation,
                arn,
                f"use the key of {what}",
                refused_with=("DryRunOperationException",),
                **given,
            )
        except AccessDenied as error:
            text = f"{error} (A key policy with kms:ViaService may allow it through the service alone.)"
            return failed(AccessDenied(text), statements(arn))

    # The account's number stands in the key's ARN, where AWS tells it.
    return Trial(f"kms:{operation}", run, after=after, behind=(IDENTITY,))


def metrics_trial(
    account: AwsAccount, namespace: str, statements: tuple[Statement, ...], after: tuple[str, ...]
) -> Trial:
    """Gives the trial of whether metrics may be uploaded to that namespace."""

    def run() -> Finding:
        return account.probe(
            "cloudwatch",
            "PutMetricData",
            f"namespace {namespace}",
            "upload metrics to CloudWatch",
            refused_with=("InvalidParameterCombination", "InvalidParameterValue"),
            proves=False,
            Namespace=namespace,
            MetricData=[{"MetricName": MADE_UP, "Value": 0.0, "Values": [0.0]}],
        )

    action = "cloudwatch:PutMetricData"
    return Trial(action, run, statements=narrowed(statements, action), after=after)
