"""`preflight` tries whether `--dead_letters` can keep refused events. It writes nothing."""

import dataclasses
import os
from typing import Any

from penstock.io.aws.account_preflight import CREDENTIALS, AwsAccount
from penstock.io.dead_letters import place_of
from penstock.io.elasticsearch._dialects import ELASTICSEARCH, OPENSEARCH, Dialect, dialect_that_denies
from penstock.io.elasticsearch.cluster._roles import needed_role, role_to_read
from penstock.io.elasticsearch.cluster.client import Client, NoAnswer, explain, unreachable
from penstock.io.elasticsearch.cluster.preflight import trials as cluster_trials
from penstock.io.elasticsearch.options import ElasticsearchOptions
from penstock.io.errors import AccessDenied, NotFound
from penstock.io.kinesis.read.policy import read_statements as kinesis_read_statements
from penstock.io.kinesis.read.preflight import read_trials as kinesis_read_trials
from penstock.io.kinesis.read_options import KinesisReadOptions
from penstock.io.kinesis.stream_preflight import StreamTrials
from penstock.io.kinesis.write.preflight import put_probe
from penstock.io.preflight.iam import Arns, Statement, narrowed, statement
from penstock.io.preflight.trials import Finding, Trial, failed, fine, writable
from penstock.io.s3.options import S3ReadOptions
from penstock.io.s3.policy import read_statements as s3_read_statements
from penstock.io.s3.preflight import put_trial
from penstock.io.s3.preflight import read_trials as s3_read_trials

__all__ = ["keep_statements", "replay_roles", "replay_statements", "replay_trials", "roles_with", "trials"]

STORE = "dead letters"


def keep_statements(url: str, arns: Arns) -> tuple[Statement, ...]:
    """Gives the statements that keeping letters needs; none for files and Elasticsearch."""
    scheme, name, prefix = place_of(url)
    if scheme == "s3":
        return (
            statement("DeadLetters", "s3:PutObject", arns.bucket(name, f"{prefix}/*" if prefix else "*")),
        )
    if scheme == "kinesis":
        return (statement("DeadLetters", "kinesis:PutRecords", arns.stream(name)),)
    return ()


def _letters_options(url: str, cluster: ElasticsearchOptions | None) -> ElasticsearchOptions | None:
    """Gives the options by which letters are written into the job's cluster; None where they aren't."""
    scheme, name, _ = place_of(url)
    if scheme != "elasticsearch" or cluster is None:
        return None
    return dataclasses.replace(
        cluster, index=name, data_stream="false", action="create", manage_template=False, template=None,
        pipeline=None, version=None, version_type=None,
    )  # fmt: skip


def roles_with(
    cluster: ElasticsearchOptions, url: str, dialect: Dialect = ELASTICSEARCH
) -> list[dict[str, Any]]:
    """Gives the roles for writing events, and for keeping letters where they are in the same cluster."""
    letters = _letters_options(url, cluster)
    return [needed_role(each, dialect) for each in (cluster, letters) if each is not None]


def replay_roles(
    letters: str, cluster: ElasticsearchOptions, again: str, dialect: Dialect
) -> list[dict[str, Any]]:
    """Gives the roles of a replay: to read the letters where they are in the cluster, and to write as `roles_with` says."""
    scheme, name, _ = place_of(letters)
    return [
        *([role_to_read(name)] if scheme == "elasticsearch" else []),
        *roles_with(cluster, again, dialect),
    ]


def trials(
    url: str, account: AwsAccount | None, cluster: ElasticsearchOptions | None, option: str = "--dead_letters"
) -> list[Trial]:
    """Gives the trials of keeping letters.

    Args:
        url: the store's URL.
        account: who we are in AWS; None for a job without AWS.
        cluster: the job's Elasticsearch, where it has one.
        option: the option that names the store.
    """
    scheme, name, prefix = place_of(url)
    if scheme == "file":
        return [Trial(f"{STORE} ({option})", lambda: writable(option, name), quick=True)]
    if scheme == "elasticsearch":
        letters = _letters_options(url, cluster)
        if letters is None:
            return []
        privileges = [each for each in cluster_trials(letters) if each.name.endswith("privileges")]
        return [dataclasses.replace(each, name=f"{STORE} in {name}: {each.name}") for each in privileges]
    if account is None:
        return []
    statements = keep_statements(url, account.arns)
    if scheme == "s3":
        folder = f"{prefix}/" if prefix else ""
        put = put_trial(account, name, folder, option, statements, CREDENTIALS)
        return [dataclasses.replace(put, name=f"{STORE}: {put.name}")]
    stream = StreamTrials(account, name, "write to", option)
    action = "kinesis:PutRecords"
    return [
        Trial(
            f"{STORE}: {action}",
            lambda: put_probe(stream),
            statements=narrowed(statements, action),
            after=(CREDENTIALS,),
        )
    ]


def replay_statements(url: str, arns: Arns) -> tuple[Statement, ...]:
    """Gives the statements that reading the letters of a store needs."""
    scheme, name, _ = place_of(url)
    if scheme == "s3":
        return s3_read_statements(S3ReadOptions([url]), arns)
    if scheme == "kinesis":
        return kinesis_read_statements(KinesisReadOptions(name, checkpoints="none"), arns)
    return ()


def replay_trials(url: str, account: AwsAccount, cluster: ElasticsearchOptions | None) -> list[Trial]:
    """Gives the trials of reading the letters of a store; arguments as of `trials`."""
    scheme, name, _ = place_of(url)
    if scheme == "s3":
        return s3_read_trials(S3ReadOptions([url]), account)
    if scheme == "kinesis":
        return kinesis_read_trials(KinesisReadOptions(name, checkpoints="none"), account)
    if scheme == "file":
        return [Trial(STORE, lambda: _readable(name), quick=True)]
    if cluster is None:
        return []
    return [Trial(STORE, lambda: _searchable(name, cluster))]


def _readable(path: str) -> Finding:
    if not os.path.isfile(path):
        message = f"--dead_letters: there is no file {path}."
        raise NotFound(message)
    if not os.access(path, os.R_OK):
        message = f"--dead_letters: this user may not read {path}."
        raise AccessDenied(message)
    return fine(f"{path}: {os.path.getsize(path)} bytes")


def _searchable(index: str, cluster: ElasticsearchOptions) -> Finding:
    client = Client(cluster)
    try:
        status, reply = client.call("GET", f"/{index}/_count")
    except NoAnswer as error:
        raise unreachable(error, client.where, f"read the dead letters in {index}") from error
    finally:
        client.close()
    if status == 200:
        return fine(f"{reply['count']} in the index {index}")
    if status == 404:
        message = f"--dead_letters: there is no index {index} in Elasticsearch at {client.where}."
        raise NotFound(message)
    role = role_to_read(index)
    dialect = dialect_that_denies(reply)
    refusal = explain(
        status, reply, cluster, client.where, f"read the dead letters in {index}", dialect, role
    )
    return failed(refusal, role=None if dialect is OPENSEARCH else role)  # its text has the role
