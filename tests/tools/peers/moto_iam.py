"""A moto that enforces IAM for one user, as far as moto can."""

import json
import urllib.request
from typing import Any

from local.servers.aws_server import AwsServer
from penstock.io.aws.session import AwsOptions
from penstock.io.preflight.iam import actions_of


class MotoIam:
    """The user and his policy, which is whatever was allowed last. At first nothing is enforced.

    Args:
        server: a moto that nobody else uses.
        user: made here.
    """

    def __init__(self, server: AwsServer, user: str = "writer") -> None:
        client = server.client("iam")
        client.create_user(UserName=user)
        key = client.create_access_key(UserName=user)["AccessKey"]
        self.server = server
        self.user = user
        self.aws = AwsOptions(
            endpoint_url=server.endpoint_url,
            access_key=key["AccessKeyId"],
            secret_key=key["SecretAccessKey"],
        )

    def allow(self, policy: dict[str, Any]) -> None:
        """Allows just that from now on."""
        self.enforce(False)
        # moto knows actions only: neither a stream's ARN nor the condition on CloudWatch's namespace. Of HeadBucket it
        # doesn't know that s3:ListBucket allows it.
        statements = [
            {
                "Sid": each["Sid"],
                "Effect": each["Effect"],
                "Action": actions_of(each) + ["s3:HeadBucket"] * ("s3:ListBucket" in actions_of(each)),
                "Resource": "*",
            }
            for each in policy["Statement"]
        ]
        # It takes the name that signs for the service's name in policies.
        document = json.dumps({**policy, "Statement": statements}).replace("cloudwatch:", "monitoring:")
        self.server.client("iam").put_user_policy(UserName=self.user, PolicyName="p", PolicyDocument=document)
        self.enforce(True)

    def enforce(self, on: bool) -> None:
        """Whether policies count."""
        calls_without = b"0" if on else b"Infinity"
        request = urllib.request.Request(
            f"{self.server.endpoint_url}/moto-api/reset-auth",
            calls_without,
            {"Content-Type": "application/json"},
            method="POST",
        )
        urllib.request.urlopen(request, timeout=10).close()
