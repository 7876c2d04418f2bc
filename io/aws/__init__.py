"""`io/aws` serves every connector: who we are for AWS, how calls fail, and what is tried before the start.

- `session`: sessions and explained calls.          - `error_codes`: tables of codes and IAM actions.
- `cloudwatch`: uploads metrics.
- `account_preflight`, `table_preflight`: who we are, and a DynamoDB table that holds a job's state.

`AwsOptions` loads when it is first used.
"""

from typing import TYPE_CHECKING

from penstock.transforms.lazy import lazily

if TYPE_CHECKING:
    from penstock.io.aws.session import AwsOptions

__all__ = ["AwsOptions"]

__getattr__ = lazily(__name__, {"AwsOptions": "session"})
