"""`Job` declares one job of the command line: its name, its options, its needs, and the chain that it builds.

A job's module declares it as `JOB`; `penstock.pipelines.jobs.find_job` is the only place that looks one up by name.
Other chains (of a configuration file, a test) are built from parts with `penstock.pipelines.run.chain`.
"""

import dataclasses
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from penstock.io.preflight.trials import require_quick
from penstock.pipelines.command_line import CommandLine, parse
from penstock.pipelines.job_options import JobOptions
from penstock.pipelines.run.chain import Step, connect
from penstock.pipelines.run.requirements import Requirements

if TYPE_CHECKING:
    from penstock.pipelines.run.batch import Batch

__all__ = ["BatchJob", "Job", "StreamingJob"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job(ABC):
    """The declaration that every job has.

    Attributes:
        name: its name on the command line.
        description: for `penstock NAME --help`.
        epilog: text behind the options in that help.
        first: the options that people need, ten at most; the help shows them first.
        option_classes: gives the option dataclasses for the arguments (some depend on others).
        requirements: gives what the job needs of its peers; None where that is not known before the run.
        hint: gives the end of a message about an option that the job doesn't know; an empty text where nothing helps.
    """

    name: str
    description: str
    epilog: str = ""
    first: tuple[str, ...] = ()
    option_classes: Callable[[Sequence[str]], tuple[type, ...]]
    requirements: Callable[[CommandLine], Requirements] | None
    hint: Callable[[str], str] = lambda name: ""

    def parse(self, argv: Sequence[str]) -> CommandLine:
        """Gives the options of a command line. Ends the program for a wrong one, as `command_line.parse` does."""
        arguments = self.arguments(argv)
        return parse(
            f"penstock {self.name}",
            self.description,
            self.option_classes,
            arguments,
            self.epilog,
            job=self.name,
            first=self.first,
        )

    def arguments(self, argv: Sequence[str]) -> list[str]:
        """Gives a command line in our own flags, where the job takes others too."""
        return list(argv)

    def main(self, argv: Sequence[str] | None = None) -> int:
        """Runs the job and returns its exit code; `argv` is the process's own by default."""
        arguments = list(sys.argv[1:] if argv is None else argv)
        return self.run(self.parse(arguments), arguments)

    @abstractmethod
    def run(self, line: CommandLine, argv: Sequence[str]) -> int:
        """Runs the job and returns the exit code; the command line comes parsed, and as it was typed."""

    def require_quick(self, line: CommandLine) -> None:
        """Makes the quick trials of the job's needs. Raises the first failure."""
        if self.requirements is not None:
            require_quick(self.requirements(line).trials)


@dataclasses.dataclass(frozen=True, kw_only=True)
class StreamingJob(Job):
    """A job that runs until it is stopped.

    Attributes:
        build: gives the steps. It is called first, so that contradictory options are refused before any peer
            is asked.
        prepare: prepares peers, such as a lease table. It is called after the quick trials.
    """

    build: Callable[[CommandLine], Sequence[Step]]
    prepare: Callable[[CommandLine], object] = lambda line: None

    def run(self, line: CommandLine, argv: Sequence[str]) -> int:  # noqa: D102
        job = line.get(JobOptions)
        timeout = max(getattr(each, "stop_timeout", 0.0) for each in line.options.values())
        if job.starts_workers:
            from penstock.pipelines.workers.supervisor import run_workers  # likewise

            return run_workers(self.name, self.name, job, argv, stop_timeout=timeout)
        from penstock.pipelines.run.streaming import run_streaming  # with Beam: no --help waits for it

        steps: list[Step] = []
        return run_streaming(
            self.name,
            job,
            line.beam,
            (lambda: steps.extend(self.build(line)),),
            lambda pipeline: connect(pipeline, steps),
            once=(lambda: self.require_quick(line), lambda: self.prepare(line)),
            stop_timeout=timeout,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class BatchJob(Job):
    """A job that ends by itself.

    Attributes:
        open_batch: gives what the job's own process, and each of its worker processes, runs.
    """

    open_batch: "Callable[[CommandLine], Batch]"

    def run(self, line: CommandLine, argv: Sequence[str]) -> int:  # noqa: D102
        from penstock.pipelines.run.batch import run_batch  # likewise

        timeout = max(getattr(each, "stop_timeout", 0.0) for each in line.options.values())
        return run_batch(self.name, self.open_batch(line), line.beam, argv, stop_timeout=timeout)
