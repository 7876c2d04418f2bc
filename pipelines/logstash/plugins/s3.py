"""`s3` declares the input `s3`, and makes `S3ReadOptions` of it: the objects that are there, read once."""

import re
from typing import Any

from penstock.io.aws.session import AwsOptions
from penstock.io.s3 import S3ReadOptions
from penstock.pipelines.logstash.plugins.amazon import aws_options
from penstock.pipelines.logstash.plugins.codecs import decode_options
from penstock.pipelines.logstash.plugins.declaration import (
    Made,
    PluginDeclaration,
    ignored,
    mapped,
    old,
    refused,
)
from penstock.pipelines.logstash.plugins.steps import ornaments
from penstock.pipelines.logstash.plugins.values import Values

__all__ = ["S3_INPUT"]


_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{2,254}")  # old ones of us-east-1 have capital letters


def _literal(key: str) -> str:
    """Gives a prefix as a pattern that means only itself."""
    return "".join(f"[{each}]" if each in "*?[" else each for each in key)


def _make(values: Values) -> Made:
    bucket, prefix = values["bucket"] or "", values["prefix"] or ""
    if values.given("bucket") and not _BUCKET.fullmatch(bucket):
        values.problem("bucket", f"bucket {bucket!r}: give the bucket's name: 3 to 63 of a-z, 0-9, - and .")
        bucket = "bucket"
    more: dict[str, Any] = {"input": [f"s3://{bucket}/{_literal(prefix)}*"]}
    if values["watch_for_new_files"] is not False:
        values.note(
            "the objects that are there are read once, then the job ends (watch_for_new_files is not here)"
        )
    sincedb = values["sincedb_path"]
    if sincedb and sincedb != "/dev/null":
        more["manifest"] = f"file://{sincedb}.penstock" if sincedb.startswith("/") else None
        if more["manifest"] is None:
            values.problem("sincedb_path", f"sincedb_path {sincedb!r}: give it as an absolute path")
        else:
            values.note(
                f"finished objects are noted in {sincedb}.penstock; Logstash's own file isn't read",
                "sincedb_path",
            )
    if values["endpoint"]:
        more["endpoint_url"] = values["endpoint"]
    properties = bool(values["include_object_properties"]) or values.situation.names("[@metadata][s3]")
    use = values.codec
    return Made(
        options=values.component(S3ReadOptions, **more),
        aws=values.component(AwsOptions, **{k: v for k, v in more.items() if k == "endpoint_url"}),
        decode=decode_options(values, by_lines=True),
        after=tuple(
            ornaments(values, original=values.situation.ecs and use is not None and use.name != "json_lines")
        ),
        properties=properties,
    )


S3_INPUT = PluginDeclaration(
    section="input",
    name="s3",
    options=(
        mapped("bucket", to="", required=True),
        mapped("prefix", to=""),
        mapped("exclude_pattern"),
        mapped("include_object_properties", "boolean",
               note="also where the file names `[@metadata][s3]`"),
        mapped("sincedb_path", to="", note="becomes a manifest of finished objects, in a file of its own"),
        mapped("watch_for_new_files", "boolean", to="", note="read once, then the job ends"),
        mapped("endpoint", to="endpoint_url"),
        *aws_options(),
        *ignored("compressed objects are known by their content", "gzip_pattern"),
        *ignored("objects are listed once", "interval", "cutoff_second", "temporary_directory"),
        *ignored("the SDK finds the way to address a bucket", "additional_settings", "use_accelerate_endpoint"),
        *ignored("the standard variables do it: HTTPS_PROXY, NO_PROXY", "proxy_uri"),
        *refused("a lifecycle rule of the bucket does it", "delete", "backup_to_bucket", "backup_add_prefix",
                 "backup_to_dir"),
        *ignored("authorities come with the SDK; AWS_CA_BUNDLE names others", "use_aws_bundled_ca"),
        *old("connections are encrypted unless endpoint says http://", "use_ssl", until=5),
        *refused("give the keys, or a profile", "aws_credentials_file"),
    ),
    make=_make,
    codecs=("plain", "line", "json", "json_lines", "multiline", "cloudtrail", "cloudfront", "cloudwatch_logs", "csv"),
    about="Objects that are there at the start, read once; then the job ends. It is the only input of its pipeline.",
)  # fmt: skip
