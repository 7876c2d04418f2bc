"""`needs` says what a plan needs of its peers: trials before the start, IAM statements, Elasticsearch roles."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from penstock.io import beats, elasticsearch, kinesis, s3
from penstock.io.aws.account_preflight import AwsAccount, identity_trials
from penstock.io.aws.session import AwsOptions
from penstock.io.dead_letters import preflight as letters
from penstock.io.preflight.iam import Arns, Statement
from penstock.io.preflight.trials import Trial
from penstock.pipelines.logstash.plan import Input, Output, Plan
from penstock.pipelines.run.requirements import Requirements

__all__ = ["prepare", "requirements_of"]

_NO_CLUSTER = "file:///letters"
"""A store that needs nothing of a cluster."""

_Statements = Callable[[Arns, str | None], Sequence[Statement]]


def requirements_of(plan: Plan, dead_letters: str, *, elsewhere: bool = False) -> Requirements:
    """Gives what a plan needs.

    Args:
        plan: what the configuration became.
        dead_letters: the URL of the store for refused events.
        elsewhere: whether the job runs on a cluster, so that ports and files are those of other machines.
    """
    found = _Needs(elsewhere)
    for source in plan.inputs:
        found.input(source)
    for sink in plan.outputs:
        found.output(sink)
    return found.requirements(dead_letters)


class _Needs:
    def __init__(self, elsewhere: bool) -> None:
        self._elsewhere = elsewhere
        self._accounts: dict[str, AwsAccount] = {}
        self._trials: list[Trial] = []
        self._statements: list[tuple[AwsAccount, _Statements]] = []
        self._streams: list[str] = []
        self._clusters: list[Any] = []

    def _account(self, aws: AwsOptions) -> AwsAccount:
        """Gives one account per identity, so that it is asked once."""
        return self._accounts.setdefault(repr(aws) + repr(aws.secret_key), AwsAccount(aws))

    def _try(self, trials: Sequence[Trial], name: str) -> None:
        self._trials += _own_names(trials, self._trials, name)

    def input(self, source: Input) -> None:
        options = source.options
        if source.plugin == "beats" and not self._elsewhere:
            self._try(beats.trials(options), source.name)
        if source.aws is None:
            return
        account = self._account(source.aws)
        if source.plugin == "kinesis":
            self._try(kinesis.read_trials(options, account), source.name)
            self._streams.append(options.kinesis_stream_name)
            self._statements.append((account, lambda arns, key: kinesis.read_statements(options, arns, key)))
        elif source.plugin == "s3":
            self._try(s3.read_trials(options, account), source.name)
            self._statements.append((account, lambda arns, key: s3.read_statements(options, arns)))

    def output(self, sink: Output) -> None:
        options = sink.options
        if sink.plugin == "kinesis" and sink.aws is not None:
            account = self._account(sink.aws)
            self._try(kinesis.write_trials(options, account), sink.name)
            if "%{" not in options.stream_name:
                self._streams.append(options.stream_name)
            self._statements.append((account, lambda arns, key: kinesis.write_statements(options, arns, key)))
        elif sink.plugin == "elasticsearch":
            arns = None
            if options.signs_for:
                account = self._account(options.signing)
                arns = account.arns
                self._statements.append(
                    (account, lambda arns, key: elasticsearch.iam_statements(options, arns))
                )
            self._try(elasticsearch.trials(options, arns), sink.name)
            self._clusters.append(options)

    def requirements(self, dead_letters: str) -> Requirements:
        cluster = self._clusters[0] if self._clusters else None
        remote = dead_letters.startswith(("s3:", "kinesis:"))
        account = next(iter(self._accounts.values()), None)
        if account is None and remote:
            account = self._account(AwsOptions())
        who = [trial for each in self._accounts.values() for trial in identity_trials(each)]
        kept = letters.trials(dead_letters, account or AwsAccount(AwsOptions()), cluster)

        def statements(arns: Arns, key: str | None) -> list[Statement]:
            found: list[Statement] = []
            for each, give in self._statements:
                found += give(arns if each is account else each.arns, key)
            return [*found, *letters.keep_statements(dead_letters, arns)]

        def roles(dialect: elasticsearch.Dialect) -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = []
            for each in self._clusters:
                store = dead_letters if each is cluster else _NO_CLUSTER
                found += [role for role in letters.roles_with(each, store, dialect) if role not in found]
            return found

        return Requirements(
            [*who, *self._trials, *kept],
            account,
            self._streams[0] if len(set(self._streams)) == 1 else None,
            statements,
            cluster,
            roles,
        )


def _own_names(trials: Sequence[Trial], others: Sequence[Trial], name: str) -> list[Trial]:
    """Gives trials with the plugin's name behind theirs, where another plugin has trials of these names."""
    own = {trial.name for trial in trials}
    if own.isdisjoint(trial.name for trial in others):
        return list(trials)
    return [
        dataclasses.replace(
            trial,
            name=f"{trial.name} ({name})",
            after=tuple(f"{each} ({name})" if each in own else each for each in trial.after),
        )
        for trial in trials
    ]


def prepare(plan: Plan) -> None:
    """Prepares peers as the jobs do: lease tables, templates. Raises `PenstockError`."""
    for source in plan.inputs:
        if source.plugin == "kinesis" and source.aws is not None:
            kinesis.prepare_read(source.options, source.aws)
    for sink in plan.outputs:
        if sink.plugin == "elasticsearch":
            elasticsearch.prepare(sink.options)
