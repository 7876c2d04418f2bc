"""`aws` gives editors and mypy the keywords of `AwsOptions`.

Made by docs/make_keywords.py from the options classes; change them there.
"""

from typing import TypedDict

__all__ = ["AwsKeywords"]


class AwsKeywords(TypedDict, total=False):
    """Keywords of `AwsOptions`."""

    region: str
    """AWS region. Without it, AWS_REGION or AWS_DEFAULT_REGION of the environment, else us-east-1."""

    endpoint_url: str | None
    """Address that serves all AWS services of the job (an emulator, a VPC endpoint)."""

    profile: str | None
    """Profile of the AWS configuration files; else the standard chain."""

    access_key: str | None
    """Access key id; needs `secret_key`. Else the standard chain."""

    secret_key: str | None
    """Secret access key; needs `access_key`."""

    session_token: str | None
    """Session token of temporary keys."""

    role_arn: str | None
    """Role to assume with those credentials."""

    role_session_name: str
    """Session name under which the role is assumed. Default: penstock."""

    verify_certificate: bool
    """Whether TLS certificates of AWS endpoints are verified. Default: True."""

    connect_timeout: int
    """Milliseconds until a connection must stand. Default: 6000."""

    request_timeout: int
    """Milliseconds that a request may take in all, and a second more for each 500 KB that it and its reply have. Default:
    6000.
    """

    max_reply_bytes: int
    """Most bytes of a peer's reply, after inflating. A larger reply counts as none, and the call is tried again. Default:
    67108864.
    """
