"""`_causes` makes one line of what Flink tells of a failure: the last cause of its stack trace, and what to do about it."""

import re
from collections.abc import Sequence

_MAX_CAUSE = 400
_HOPELESS = re.compile(
    r"ModuleNotFoundError|ImportError|AttributeError: .*(module|get attribute)|WrongRelease"
)
"""What the code on the workers lacks: starting again doesn't bring it."""
_DENIED = re.compile(r"\.(AccessDenied|OptionError|StateError): ")
_ENOUGH_DENIALS = 3
_NO_SLOTS = "NoResourceAvailable"
_ADVICE = (
    (
        r"No module named '?penstock|WrongRelease",
        "Install this penstock on the workers, or bring it by --setup_file",
    ),
    (
        r"ModuleNotFoundError|ImportError",
        "Bring what the job's code imports by --setup_file or --extra_package",
    ),
    (
        r"(Connect|UnknownHost)Exception|UNAVAILABLE",
        "Is the worker pool at --environment_config up, as seen from the task managers?",
    ),
    (
        r"[Cc]redential|no such profile",
        "The workers need credentials of their own: those of this process stay here",
    ),
    (r"Cannot find checkpoint or savepoint", "Check --savepoint_path, as seen from the job manager"),
    (r"Cannot run program", "Check --environment_config, as seen from the task managers"),
)
"""What to do about a cause, by a pattern of it."""


def with_advice(cause: str) -> str:
    """Gives the cause, and what to do about it where that is known."""
    for pattern, advice in _ADVICE:
        if re.search(pattern, cause):
            return f"{cause.rstrip('.')}. {advice} (docs/submitting.md)"
    return cause


def is_known(cause: str) -> bool:
    """Whether it is known what to do about a cause: a mistake rather than a start that takes long."""
    return _NO_SLOTS in cause or any(re.search(pattern, cause) for pattern, _ in _ADVICE)


def is_hopeless(causes: Sequence[str]) -> bool:
    """Whether starting again won't help, given why the job was started again, the last cause first."""
    denied = sum(1 for each in causes if _DENIED.search(each))
    return denied >= _ENOUGH_DENIALS or bool(causes and _HOPELESS.search(causes[0]))


def root_cause(stack_trace: str) -> str:
    """Gives the last cause of a Java stack trace in one line; of an error in Python, Python's own last line."""
    cause, python = "", False
    for line in stack_trace.splitlines():
        if line.startswith(("\tat ", "\t... ", "  ", "    ")) or not line.strip():
            continue
        if "Traceback (most recent call last)" in line:
            python = True
            continue
        if line.startswith("Caused by: "):
            outer, cause = cause, line.removeprefix("Caused by: ")
            python = "Traceback (most recent call last)" in line
            if _says_more(outer, cause):
                cause = outer
        elif python or not cause:
            cause = line
    return " ".join(cause.split())[:_MAX_CAUSE]


def _says_more(outer: str, inner: str) -> bool:
    """Whether the outer cause holds the inner one's text with an address or a program's name besides."""
    text = inner.partition(": ")[2]
    at = outer.rfind(text) if text else -1
    return at >= 0 and (at + len(text) < len(outer) or "Cannot run program" in outer)
