"""`texts` declares the plugins for files and the terminal: inputs `file` and `stdin`, outputs `file`, `stdout`, `null`."""

import hashlib
import os
import re

from penstock.pipelines.logstash.plan import (
    FileInput,
    FileOutput,
    NullOutput,
    StdinInput,
    StdoutOutput,
    TextCodec,
)
from penstock.pipelines.logstash.plugins.codecs import decode_options, text_codec
from penstock.pipelines.logstash.plugins.declaration import (
    Made,
    PluginDeclaration,
    ignored,
    mapped,
    refused,
)
from penstock.pipelines.logstash.plugins.steps import ornaments
from penstock.pipelines.logstash.plugins.values import Values

__all__ = ["FILE_INPUT", "FILE_OUTPUT", "NULL", "STDIN", "STDOUT"]

_LINES = ("plain", "line", "json", "json_lines", "multiline", "csv")
_TEXTS = ("json_lines", "json", "line", "plain", "rubydebug", "dots")


def _file_input(values: Values) -> Made:
    paths = [str(each) for each in values["path"] or ()]
    for path in paths:
        if re.match(r"[A-Za-z]:[/\\]", path):
            values.problem(
                "path",
                f"path {path!r} is one of Windows: read it there with Filebeat, and use the input beats",
            )
        elif not path.startswith("/"):
            values.problem("path", f"path {path!r}: give it as an absolute path")
    delimiter = str(values["delimiter"]).replace("\\n", "\n")
    if delimiter != "\n":
        values.problem("delimiter", "delimiter: a line ends with a line end here")
    options = FileInput(
        tuple(paths),
        tuple(str(each) for each in values["exclude"] or ()),
        "beginning" if values["mode"] == "read" else values["start_position"] or "end",
        values["mode"] or "tail",
        delimiter,
        _positions(values, paths),
        values.situation.ecs,
    )
    return Made(
        options=options,
        decode=decode_options(values, by_lines=True),
        after=tuple(ornaments(values, original=values.situation.ecs)),
    )


def _positions(values: Values, paths: list[str]) -> str | None:
    """Gives the file of positions: beside Logstash's own, or named after the paths in the working directory."""
    sincedb = values["sincedb_path"]
    if sincedb in ("/dev/null", "NUL"):
        return None
    if sincedb:
        return f"{sincedb}.penstock"
    name = hashlib.blake2b("\0".join(paths).encode(), digest_size=8).hexdigest()
    found = os.path.join(os.path.abspath("positions"), f"file-{name}.json")
    values.note(f"positions are kept in {found}", "path")
    return found


FILE_INPUT = PluginDeclaration(
    section="input",
    name="file",
    options=(
        mapped("path", "array", to="", required=True),
        mapped("exclude", "array", to=""),
        mapped("start_position", "choice", to="", default="end", choices=("beginning", "end")),
        mapped("mode", "choice", to="", default="tail", choices=("tail", "read")),
        mapped("delimiter", to="", default="\n", note="a line end"),
        mapped("sincedb_path", to="", note="positions are kept beside it, else in ./positions; /dev/null: none"),
        *ignored("the job looks for new lines by itself", "stat_interval", "discover_interval", "sincedb_write_interval",
                 "sincedb_clean_after", "close_older", "max_open_files", "file_chunk_size", "file_chunk_count",
                 "file_sort_by", "file_sort_direction", "check_archive_validity", "exit_after_read"),
        *ignored("files are never deleted", "file_completed_action", "file_completed_log_path"),
        *ignored("every file that fits is read", "ignore_older"),
    ),
    make=_file_input,
    codecs=_LINES,
    about="Lines of local files. For files of many machines use Filebeat.",
)  # fmt: skip

STDIN = PluginDeclaration(
    section="input",
    name="stdin",
    options=ignored("codecs name no fields but message here", "ecs_compatibility"),
    make=lambda values: Made(
        options=StdinInput(values.situation.ecs),
        decode=decode_options(values, by_lines=True),
        after=tuple(ornaments(values, original=values.situation.ecs)),
    ),
    codecs=("line", "plain", "json", "json_lines", "multiline", "csv"),
    about="Lines of the standard input; its end ends the job.",
)


def _file_output(values: Values) -> Made:
    return Made(
        options=FileOutput(
            str(values["path"]),
            text_codec(values) or TextCodec("json_lines"),
            bool(values["gzip"]),
            values["write_behavior"] != "overwrite",
            float(2 if values["flush_interval"] is None else values["flush_interval"]),
        )
    )


FILE_OUTPUT = PluginDeclaration(
    section="output",
    name="file",
    options=(
        mapped("path", to="", required=True, note="may hold `%{field}`"),
        mapped("gzip", "boolean", to="", default=False),
        mapped("write_behavior", "choice", to="", default="append", choices=("append", "overwrite")),
        mapped("flush_interval", "number", to="", default=2),
        *ignored("a file that went away is made again", "create_if_deleted"),
        *ignored("a path that an event can't fill makes a dead letter", "filename_failure"),
        *ignored("the umask decides", "dir_mode", "file_mode"),
        *ignored("files are closed when they are idle", "stale_cleanup_interval"),
        *refused("use codec => line { format => ... }", "message_format"),
    ),
    make=_file_output,
    codecs=_TEXTS,
    about="Local files.",
)

STDOUT = PluginDeclaration(
    section="output",
    name="stdout",
    options=ignored("use the codec rubydebug, which is the default", "debug"),
    make=lambda values: Made(options=StdoutOutput(text_codec(values) or TextCodec("rubydebug"))),
    codecs=("rubydebug", "json_lines", "json", "line", "plain", "dots"),
    about="The terminal.",
)

NULL = PluginDeclaration(
    section="output",
    name="null",
    options=(),
    make=lambda values: Made(options=NullOutput()),
    about="Nowhere: every event is done.",
)
