"""`amazon` declares what the plugins of AWS have in common: who we are, and where the services are."""

from penstock.pipelines.logstash.plugins.declaration import PluginOption, mapped

__all__ = ["aws_options", "camel_case"]


def aws_options(
    *, role_session_name: str | None = None, keys: str = "secret_access_key"
) -> tuple[PluginOption, ...]:
    """Gives the options of credentials and places.

    Args:
        role_session_name: Logstash's default for it.
        keys: what the plugin calls the secret key.
    """
    key = "access_key_id" if keys == "secret_access_key" else "access_key"
    return (
        mapped("region", default="us-east-1"),
        mapped(key, to="access_key"),
        mapped(keys, "password", to="secret_key"),
        mapped("session_token", "password"),
        mapped("profile"),
        mapped("role_arn"),
        mapped("role_session_name", default=role_session_name),
    )


def camel_case(name: str) -> str:
    """`max_records` as `maxRecords`; what is in camel case stays."""
    first, *others = name.split("_")
    return first + "".join(each[:1].upper() + each[1:] for each in others)
