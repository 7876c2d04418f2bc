"""`flags` turns Logstash's own command line into ours: every flag is taken, ignored with a reason, or refused.

Pure: arguments in, arguments and notes out.
"""

from collections.abc import Sequence

from penstock.io.errors import OptionError

__all__ = ["IGNORED", "REFUSED", "TAKEN", "translated"]

TAKEN = {
    "-f": "--path_config",
    "--path.config": "--path_config",
    "-e": "--config_string",
    "--config.string": "--config_string",
    "-t": "--config_test_and_exit",
    "--config.test_and_exit": "--config_test_and_exit",
    "--path.settings": "--path_settings",
    "--pipeline.id": "--pipeline_id",
    "--pipeline.ecs_compatibility": "--pipeline_ecs_compatibility",
    "--config.support_escapes": "--config_support_escapes",
    "--log.level": "--log_level",
    "--log.format": "--log_format",
    "-V": "--version",
    "--version": "--version",
    "--set": "--set",
}
"""Logstash's flag -> ours."""
_LEVELS = {"fatal": "error", "warn": "warning", "trace": "debug"}
_FORMATS = {"plain": "text", "json": "json"}

_WORKERS = "the job uses the cores that it has"
_RELOAD = "the files are read once; start the job again after a change (a stop loses nothing)"
_API = "the job's page is --status_port"
_DATA = "no queue is kept on disk: an event is acknowledged once the last output has it"
IGNORED = {
    "-w": (_WORKERS, True),
    "--pipeline.workers": (_WORKERS, True),
    "-b": ("batches have the size that the outputs need", True),
    "--pipeline.batch.size": ("batches have the size that the outputs need", True),
    "-u": ("batches wait as the input says (record_max_buffered_time)", True),
    "--pipeline.batch.delay": ("batches wait as the input says (record_max_buffered_time)", True),
    "--pipeline.ordered": ("the order of each source is kept", True),
    "--pipeline.batch.output_chunking.growth_threshold_factor": ("batches have the size that the outputs need", True),
    "--pipeline.unsafe_shutdown": ("a second signal ends the job at once", False),
    "--path.data": (_DATA, True),
    "--path.logs": ("logs go to stderr", True),
    "-l": ("logs go to stderr", True),
    "--log.format.json.fix_duplicate_message_fields": ("there is one message", True),
    "-r": (_RELOAD, False),
    "--config.reload.automatic": (_RELOAD, False),
    "--config.reload.interval": (_RELOAD, True),
    "--config.debug": ("--explain shows what became of the file", False),
    "--config.auto_reload": (_RELOAD, False),
    "-n": ("the host's name is used", True),
    "--node.name": ("the host's name is used", True),
    "--queue.type": (_DATA, True),
    "--queue.drain": ("a stop always writes what was read", False),
    "--queue.max_bytes": (_DATA, True),
    "--queue.max_events": (_DATA, True),
    "--queue.page_capacity": (_DATA, True),
    "--queue.checkpoint.acks": (_DATA, True),
    "--dead_letter_queue.enable": ("refused events are always kept; --dead_letters says where", True),
    "--dead_letter_queue.max_bytes": ("refused events are always kept; --dead_letters says where", True),
    "--path.dead_letter_queue": ("refused events are kept where --dead_letters says", True),
    "--api.enabled": (_API, True),
    "--api.http.host": (_API, True),
    "--api.http.port": (_API, True),
    "--http.enabled": (_API, True),
    "--http.host": (_API, True),
    "--http.port": (_API, True),
    "--enable-local-plugin-development": ("there are no plugins to load", False),
    "--java-execution": ("there is no Java", False),
    "--experimental-java-execution": ("there is no Java", False),
    "--quiet": ("give --log_level warning", False),
    "--verbose": ("give --log_level debug", False),
    "--debug": ("give --log_level debug", False),
    "--event_api.tags.illegal": ("tags of another type are renamed", True),
    "--cloud.id": ("give cloud_id to the output", True),
    "--cloud.auth": ("give cloud_auth to the output", True),
}  # fmt: skip
"""Logstash's flag -> why it does nothing here, and whether a value follows it."""

REFUSED = {
    "-p": "plugins in Ruby can't run here; docs/logstash.md lists those that are here",
    "--path.plugins": "plugins in Ruby can't run here; docs/logstash.md lists those that are here",
    "-M": "modules are gone from Logstash too; give a file",
    "--modules": "modules are gone from Logstash too; give a file",
    "--modules.variable": "modules are gone from Logstash too; give a file",
    "--setup": "modules are gone from Logstash too; give a file",
    "--field-reference-parser": "references are read as Logstash 7 and later reads them",
    "--field-reference-escape-style": "no field with brackets in its name can be named here",
    "--config.field_reference.escape_style": "no field with brackets in its name can be named here",
    "-i": "there is no shell",
    "--interactive": "there is no shell",
}
"""Logstash's flag -> why it is refused."""


def translated(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Gives the arguments with our flags, and a line for each reason why some are ignored.

    Raises:
        OptionError: a flag that can't be had here, or one without its value.
    """
    made: list[str] = []
    ignored: dict[str, list[str]] = {}
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        name, equals, value = argument.partition("=")
        if (
            len(argument) > 2
            and argument[0] == "-"
            and argument[1] != "-"
            and argument[:2] in (*TAKEN, *IGNORED)
        ):
            name, equals, value = argument[:2], "=", argument[2:].removeprefix("=")  # -w4
        if name in REFUSED:
            message = f"{name} is not supported: {REFUSED[name]}."
            raise OptionError(message)
        if name in IGNORED:
            why, takes = IGNORED[name]
            follows = not equals and bool(rest)
            if follows and (not rest[0].startswith("-") if takes else rest[0] in ("true", "false")):
                rest.pop(0)
            names = ignored.setdefault(why, [])
            if name not in names:
                names.append(name)
        elif name in TAKEN:
            made += _taken(name, value if equals else None, rest)
        else:
            made.append(argument)
    notes = [
        f"{', '.join(names)} {'are' if len(names) > 1 else 'is'} ignored: {why}"
        for why, names in ignored.items()
    ]
    return made, notes


def _taken(name: str, value: str | None, rest: list[str]) -> list[str]:
    flag = TAKEN[name]
    if flag == "--version":
        return [flag]
    if flag in ("--config_test_and_exit", "--config_support_escapes"):
        if value is None and rest and rest[0] in ("true", "false"):
            value = rest.pop(0)
        return [flag if value is None else f"{flag}={value}"]
    if value is None:
        if not rest:
            message = f"{name} needs a value."
            raise OptionError(message)
        value = rest.pop(0)
    if flag == "--log_level":
        value = _LEVELS.get(value, value)
    elif flag == "--log_format":
        value = _FORMATS.get(value, value)
    elif flag == "--set":
        value = value.replace(",", "\\,")  # a value, not several
    return [f"{flag}={value}"]
