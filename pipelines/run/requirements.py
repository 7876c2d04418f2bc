"""`Requirements` says what a job needs of its peers: for its start, for `penstock check`, for the printed policy."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from penstock.io.aws.account_preflight import AwsAccount
from penstock.io.elasticsearch import Dialect, ElasticsearchOptions
from penstock.io.preflight.iam import Arns, Statement
from penstock.io.preflight.trials import Trial

__all__ = ["Requirements"]


@dataclasses.dataclass(frozen=True)
class Requirements:
    """The needs of one job with its options.

    Attributes:
        trials: its trials, in their order.
        account: who the job is in AWS; None where it uses nothing there.
        stream: the stream whose key a policy must name, by name or ARN; None where there is none.
        statements: gives the IAM statements for the account's names and the ARN of the stream's key.
        cluster: the first search server that the job writes to; None where there is none.
        roles: gives the roles that the job needs there, in the words of a server's dialect.
    """

    trials: Sequence[Trial]
    account: AwsAccount | None = None
    stream: str | None = None
    statements: Callable[[Arns, str | None], Sequence[Statement]] = lambda arns, key_arn: ()
    cluster: ElasticsearchOptions | None = None
    roles: Callable[[Dialect], Sequence[Mapping[str, Any]]] = lambda dialect: ()
