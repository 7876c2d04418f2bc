"""`penstock check JOB [options of the job]` tries what the job will need, changes nothing, and says what is missing.

One line for each thing that was tried. Behind them, where something is denied, comes what to add: one IAM policy and
one Elasticsearch role, ready to paste. `--policy`, `--role` and `--opensearch_role` only print the least that these
options need. `--role` asks the server what it is: an OpenSearch knows other roles than an Elasticsearch.

Exit codes: 0 nothing failed (something may not have been tried), 1 something failed, 2 wrong options.
"""

import dataclasses
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

from botocore.exceptions import BotoCoreError, ClientError

from penstock.io.aws.account_preflight import AwsAccount
from penstock.io.elasticsearch import (
    ELASTICSEARCH,
    OPENSEARCH,
    Dialect,
    ElasticsearchOptions,
    as_opensearch,
    data_access_policy,
    dialect_at,
    installs,
    principal_of,
)
from penstock.io.errors import OptionError, PenstockError
from penstock.io.kinesis.wire.calls import stream_argument
from penstock.io.options import option
from penstock.io.preflight.iam import Statement, merged, policy
from penstock.io.preflight.trials import Finding, Mark, Trial, try_all
from penstock.pipelines.command_line import parse
from penstock.pipelines.console.logs import LogOptions, printable, set_up_logging
from penstock.pipelines.console.terminal_line import colours
from penstock.pipelines.run.job import Job
from penstock.pipelines.run.requirements import Requirements
from penstock.pipelines.status import StatusOptions, page_trials

__all__ = ["CheckOptions", "main", "print_all"]

_MARKS = {
    Mark.OK: ("ok  ", "32"),
    Mark.WARNING: ("WARN", "33"),
    Mark.FAILED: ("FAIL", "31"),
    Mark.NOT_TRIED: ("--  ", "2"),
}
"""The mark in front of a line, and its colour on a terminal (ECMA-48)."""

_PATIENCE_S = 10
"""How long `--role` waits for a server that may not be there yet."""

_LEGEND = "-- is what could not be tried without changing something, or not proven"
_REST = "what was not tried may be denied too; all that these options need is printed by"


@dataclasses.dataclass(frozen=True)
class CheckOptions:
    """The options of `penstock check` besides those of the job."""

    policy: bool = option(False, help="Print the least IAM policy for these options, and try nothing.")
    role: bool = option(
        False,
        help="Print the least role for these options in the form of the server that answers, and try nothing.",
    )
    opensearch_role: bool = option(
        False, help="The same in the form of OpenSearch's security plugin, without asking the server."
    )
    json: bool = option(False, help="Print one JSON object instead of lines, for scripts.")


def main(job: Job, argv: Sequence[str]) -> int:
    """Tries what one job needs, given its options and `CheckOptions`. Returns the exit code."""
    if job.requirements is None:
        sys.stderr.write(
            f"penstock check: {job.name} can't be checked as a whole: its file may hold any step. Check the jobs that "
            "have these steps, with the same options.\n"
        )
        return 2
    description = "Tries every permission and connection that the job will need, and changes nothing."
    line = parse(
        f"penstock check {job.name}",
        description,
        lambda given: (CheckOptions, *job.option_classes(given)),
        job.arguments(argv),
        __doc__.partition("\n\n")[2],
        job=job.name,
        first=("policy", "role", "opensearch_role", "json", *job.first),
    )
    options = line.get(CheckOptions)
    try:
        needed = job.requirements(line)
    except OptionError as error:
        sys.stderr.write(f"penstock check {job.name}: {error}\n")
        return error.exit_code
    shared = next(each for each in line.options.values() if isinstance(each, LogOptions))
    set_up_logging(shared)
    if options.policy:
        return _print_policy(needed)
    if options.role or options.opensearch_role:
        return _print_role(job.name, needed, opensearch=options.opensearch_role)
    if isinstance(shared, StatusOptions):  # every job has them
        # Last of all, so that it doesn't meet the trial of another port of this machine.
        names = tuple(trial.name for trial in needed.trials)
        page = [dataclasses.replace(trial, behind=names) for trial in page_trials(shared)]
        needed = dataclasses.replace(needed, trials=[*needed.trials, *page])
    if options.json:
        found = list(try_all(needed.trials))
        sys.stdout.write(json.dumps(_document(job.name, needed, found), indent=2) + "\n")
    else:
        found = _print_lines(job.name, needed, sys.stdout)
    return 1 if any(finding.mark is Mark.FAILED for _, finding in found) else 0


def print_all(name: str, needed: Requirements) -> int:
    """Tries everything, one line each, and prints the whole policy. Returns the exit code."""
    found = _print_lines(name, needed, sys.stdout)
    if needed.account is not None:
        sys.stdout.write("\nThe IAM policy of all that these options need:\n")
        _print_policy(needed)
    return 1 if any(finding.mark is Mark.FAILED for _, finding in found) else 0


# -- lines -----------------------------------------------------------------------------------------------


def _print_lines(job: str, needed: Requirements, out: TextIO) -> list[tuple[Trial, Finding]]:
    coloured = colours(out)
    width = max((len(trial.name) for trial in needed.trials), default=0)
    out.write(f"penstock check {job}\n")
    found = []
    for trial, finding in try_all(needed.trials):
        found.append((trial, finding))
        mark, colour = _MARKS[finding.mark]
        shown = f"\x1b[{colour}m{mark}\x1b[0m" if coloured else mark
        out.write(f"  {shown}  {trial.name:{width}}  {printable(finding.text)}\n")
        out.flush()  # a peer that doesn't answer takes its time
    counts = {mark: sum(finding.mark is mark for _, finding in found) for mark in Mark}
    told = ", ".join(f"{count} {mark}" for mark, count in counts.items() if count)
    out.write(f"{told or 'nothing to check'}\n")
    if counts[Mark.NOT_TRIED]:
        out.write(f"{_LEGEND}\n")
    to_add = _to_add(needed, found)
    if counts[Mark.NOT_TRIED] and to_add:
        printed = [f"--{each}" for each in to_add]
        out.write(f"{_REST} {' and '.join(printed)}\n")
    if "policy" in to_add:
        whom = vars(needed.account).get("identity", {}).get("Arn", "the job's principal")
        out.write(f"\nTo the IAM policy of {whom} add:\n{json.dumps(to_add['policy'], indent=2)}\n")
    if "role" in to_add:
        out.write(f"\nTo the Elasticsearch role add:\n{json.dumps(to_add['role'], indent=2)}\n")
    return found


# -- documents -------------------------------------------------------------------------------------------


def _document(job: str, needed: Requirements, found: list[tuple[Trial, Finding]]) -> dict[str, Any]:
    trials = [{"name": trial.name, "mark": finding.mark, "text": finding.text} for trial, finding in found]
    failed = any(finding.mark is Mark.FAILED for _, finding in found)
    return {"job": job, "ok": not failed, "checks": trials, "add": _to_add(needed, found)}


def _to_add(needed: Requirements, found: Iterable[tuple[Trial, Finding]]) -> dict[str, Any]:
    """Gives what is missing: `policy` for IAM, `role` for Elasticsearch; each only where something is missing."""
    findings = [finding for _, finding in found]
    to_add: dict[str, Any] = {}
    statements = [each for finding in findings for each in finding.statements]
    if statements and needed.account is not None:
        to_add["policy"] = policy(_with_account(statements, needed.account))
    roles = [finding.role for finding in findings if finding.role is not None]
    if roles:
        to_add["role"] = _one_role(roles)
    return to_add


def _with_account(statements: Iterable[Statement], account: AwsAccount) -> list[Statement]:
    """Puts the account's number into statements that were made before it was known."""
    number = account.arns.account
    return merged(
        {**each, "Resource": each["Resource"].replace(":ACCOUNT:", f":{number}:")} for each in statements
    )


def _one_role(roles: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    cluster: list[str] = []
    indices: dict[str, list[str]] = {}
    for role in roles:
        cluster += [each for each in role["cluster"] if each not in cluster]
        for index in role["indices"]:
            for name in index["names"]:
                known = indices.setdefault(name, [])
                known += [each for each in index["privileges"] if each not in known]
    return {
        "cluster": cluster,
        "indices": [{"names": [name], "privileges": known} for name, known in indices.items()],
    }


def _print_policy(needed: Requirements) -> int:
    """Prints the IAM policy. AWS is asked only for the account's number and the stream's key, if it answers."""
    statements: Sequence[Statement] = ()
    notes: list[str] = []
    if needed.account is None:
        notes.append("with these options nothing of AWS is used.")
    else:
        key = _ask(needed.account, needed.stream, notes)
        arns = needed.account.arns
        statements = merged(needed.statements(arns, arns.key(key) if key else None))
        role_arn = needed.account.options.role_arn
        if role_arn:
            notes.append(f"the credentials that assume the role need sts:AssumeRole on {role_arn}.")
        if "ACCOUNT" in repr(statements):
            notes.append("AWS did not tell the account's number; put it in the place of ACCOUNT.")
    sys.stdout.write(json.dumps(policy(statements), indent=2) + "\n")
    _tell(notes)
    return 0


def _print_role(job: str, needed: Requirements, *, opensearch: bool) -> int:
    cluster = needed.cluster
    if cluster is None:
        sys.stderr.write(f"penstock check {job}: --role: the job writes nothing to Elasticsearch.\n")
        return 2
    notes: list[str] = []
    if cluster.serverless and not opensearch:
        printed = _data_access_policy(cluster, _one_role(needed.roles(OPENSEARCH)))
        notes.append("a collection has no roles; this is its data access policy.")
    else:
        dialect = OPENSEARCH if opensearch else _dialect(cluster, notes)
        printed = _one_role(needed.roles(dialect))
        if dialect.has_actions or cluster.domain:
            printed = as_opensearch(printed)
            notes.append(
                f"PUT {dialect.plugins}/_security/api/roles/NAME takes it, .../rolesmapping/NAME says who has it."
            )
    sys.stdout.write(json.dumps(printed, indent=2) + "\n")
    _tell(notes)
    return 0


def _dialect(cluster: ElasticsearchOptions, notes: list[str]) -> Dialect:
    """Asks the server what it is. A domain that does not say it is an OpenSearch."""
    try:
        return dialect_at(dataclasses.replace(cluster, timeout=min(cluster.timeout, _PATIENCE_S)))
    except PenstockError:
        if cluster.domain:
            return OPENSEARCH
        notes.append(
            "the server did not say what it is, so this is Elasticsearch's form; --opensearch_role prints OpenSearch's."
        )
        return ELASTICSEARCH


def _data_access_policy(cluster: ElasticsearchOptions, role: Mapping[str, Any]) -> Any:
    indices = [name for each in role["indices"] for name in each["names"]]
    principal = cluster.signing.role_arn or principal_of(cluster.signing)
    return json.loads(data_access_policy("COLLECTION", indices, principal, templates=installs(cluster)))


def _tell(notes: Iterable[str]) -> None:
    for note in notes:
        sys.stderr.write(f"penstock check: {note}\n")


def _ask(account: AwsAccount, stream: str | None, notes: list[str]) -> str | None:
    """Asks for the customer's key of the stream, and for the account's number."""
    try:
        account.session.credentials()
        _ = account.identity
        if stream is None:
            return None
        client = account.session.client("kinesis", retries=False)
        summary = client.describe_stream_summary(**stream_argument(stream))["StreamDescriptionSummary"]
        key = str(summary["KeyId"]) if summary.get("EncryptionType") == "KMS" else ""
        return key if key and "alias/aws/" not in key else None
    except (BotoCoreError, ClientError, PenstockError, KeyError):
        if stream is not None:
            notes.append(
                "AWS did not tell whether your own key encrypts the stream; then docs/iam.md says what to add."
            )
        return None
