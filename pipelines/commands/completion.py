"""`penstock completion SHELL` prints the script by which a shell completes jobs, options and their values.

bash   penstock completion bash > ~/.local/share/bash-completion/completions/penstock
zsh    penstock completion zsh > ~/.zfunc/_penstock        (with `fpath+=~/.zfunc` before `compinit`)
fish   penstock completion fish > ~/.config/fish/completions/penstock.fish
"""

import argparse
import re
import sys
from collections.abc import Iterable, Sequence

import shtab

from penstock.pipelines.check import CheckOptions
from penstock.pipelines.configuration.config_file import FILE_SUFFIX
from penstock.pipelines.configuration.declared import Declared, declared_in
from penstock.pipelines.configuration.help_pages import ALL
from penstock.pipelines.configuration.options import ConfigOptions
from penstock.pipelines.configuration.values import boolean
from penstock.pipelines.jobs import JOBS, find_job

__all__ = ["main"]

_SHELLS = ("bash", "zsh", "fish")
_PATHS = re.compile(r"^(config|path_\w+|template|ssl_(certificate|key|certificate_authorities)|\w+_file)$")
_FIRST_SENTENCE = re.compile(r".*?[.;:](?= |$)", re.DOTALL)


def main(arguments: Sequence[str]) -> int:
    """Runs the command and returns its exit code."""
    given = list(arguments)
    if len(given) != 1 or given[0] not in _SHELLS:
        asked = given in (["-h"], ["--help"])
        usage = f"usage: penstock completion {'|'.join(_SHELLS)}\n\n{__doc__.partition(chr(10) * 2)[2]}"
        (sys.stdout if asked else sys.stderr).write(usage)
        return 0 if asked else 2
    sys.stdout.write(shtab.complete(_program(), given[0]))
    return 0


def _program() -> argparse.ArgumentParser:
    """Gives a parser that is as wide as the whole command; it only tells what there is."""
    program = argparse.ArgumentParser("penstock")
    program.add_argument("-V", "--version", action="store_true", help="the version")
    commands = program.add_subparsers(dest="command")
    jobs = {
        job: list(declared_in((*find_job(job).option_classes([]), ConfigOptions)).values()) for job in JOBS
    }
    checks = list(declared_in([CheckOptions]).values())
    for job, options in jobs.items():
        _add_all(commands.add_parser(job, help=JOBS[job], add_help=False), options)
    run = commands.add_parser("run", help="runs the jobs of a file", add_help=False)
    run.add_argument("file").complete = shtab.FILE  # type: ignore[attr-defined]
    for name, about, more in (
        ("check", "tries everything that a job will need", checks),
        ("config", "prints a file with all options of a job", []),
    ):
        of_jobs = commands.add_parser(name, help=about, add_help=False).add_subparsers(dest="job")
        for job, options in jobs.items():
            to = of_jobs.add_parser(job, help=JOBS[job], add_help=False)
            _add_all(to, [*more, *options])
            if name == "config":
                to.add_argument("--schema", action="store_true", help="the JSON Schema instead")
    status = commands.add_parser("status", help="shows what runs on a Flink cluster", add_help=False)
    for flag in ("--flink", "--all", "--stop", "--follow"):
        status.add_argument(flag)
    shells = commands.add_parser("completion", help="prints the script for a shell", add_help=False)
    shells.add_argument("shell", choices=_SHELLS)
    return program


def _add_all(parser: argparse.ArgumentParser, options: Iterable[Declared]) -> None:
    options = list(options)
    parser.add_argument("--help", choices=sorted({ALL, *(each.group for each in options)}), help="of a group")
    for option in options:
        _add(parser, option.flag, option)
        if option.secret:
            _add(parser, option.flag + FILE_SUFFIX, option)


def _add(parser: argparse.ArgumentParser, flag: str, option: Declared) -> None:
    found = _FIRST_SENTENCE.match(option.help)
    about = (found[0] if found else option.help).rstrip(".;:").replace("%", "%%")
    is_path = _PATHS.match(flag[2:]) is not None
    choices = option.choices or (("true", "false") if option.convert is boolean else None)
    action = parser.add_argument(flag, help=about, choices=None if is_path else choices)
    if is_path:
        action.complete = shtab.FILE  # type: ignore[attr-defined]
