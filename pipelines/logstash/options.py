"""`options` declares the options of `penstock logstash`: Logstash's own by their names, and ours beside them."""

import dataclasses

from penstock.io.errors import OptionError
from penstock.io.options import option

__all__ = ["LogstashOptions"]

VERSIONS = ("6", "7", "8", "9")


@dataclasses.dataclass(frozen=True)
class LogstashOptions:
    """Which configuration runs, and how it is read."""

    path_config: str = option(
        "",
        help="-f: the file, folder or pattern of files (in quotes) that holds the pipeline. A folder's files are "
        "read in the order of their names, and are one pipeline.",
    )
    config_string: str = option("", help="-e: the pipeline itself, as a text.")
    path_settings: str = option(
        "", help="Folder with logstash.yml and pipelines.yml, read when neither -f nor -e is given."
    )
    pipeline_id: str = option("", help="Run this pipeline of pipelines.yml only.")
    config_test_and_exit: bool = option(
        False,
        help="-t: read and check the configuration, try every peer, print the IAM policy, and end. Nothing is changed.",
    )
    pipeline_ecs_compatibility: str = option(
        "",
        help="Whether fields are named by the Elastic Common Schema: v1, v8 or disabled. By default as --compat says.",
        choices=("disabled", "v1", "v8"),
    )
    config_support_escapes: bool = option(False, help="Replace \\n, \\t and the like in texts.")
    compat: str = option(
        "8",
        help="The Logstash whose defaults hold. 6 and 7: no ECS names, daily indices; 8 and 9: ECS names, data streams.",
        choices=VERSIONS,
    )
    logstash_fields: bool = option(
        False,
        help="Add the fields that Logstash adds by itself (@version, [event][original], the tag of the codec). Otherwise "
        "those that the configuration names; each event is then encoded anew.",
    )
    set: list[str] = option(
        [],
        help="Override an option of a plugin: input.beats.port=0, or with its id in the place of its name. Repeat it.",
    )
    explain: bool = option(
        False, help="Print the steps with the options that took effect and where each came from, and end."
    )
    to_command: bool = option(False, help="Print the same pipeline as a penstock command, and end.")
    to_yaml: bool = option(False, help="Print the same pipeline as Beam YAML for penstock run-yaml, and end.")
    replay: str = option(
        "",
        help="Send the letters of this store again, each through the same filters to the output that refused it, under the "
        "same id, and end.",
    )
    timezone: str = option("UTC", help="The IANA zone of times that name none.")
    allow_code: bool = option(
        False,
        help="Let python { code } run: code of the configuration's author, with all permissions of the job.",
    )

    def __post_init__(self) -> None:
        given = [name for name in ("path_config", "config_string", "path_settings") if getattr(self, name)]
        if not given:
            message = "-f FILE is required: the configuration to run (or -e TEXT, or --path.settings FOLDER)."
            raise OptionError(message)
        if self.path_config and self.config_string:
            message = "-f and -e exclude each other: give one."
            raise OptionError(message)
        for each in self.set:
            if each.count(".") < 2 or "=" not in each:
                message = f"--set {each.partition('=')[0]!r}: write SECTION.PLUGIN.OPTION=VALUE, such as input.beats.port=0."
                raise OptionError(message)

    @property
    def ecs(self) -> str:
        """The mode of the Elastic Common Schema."""
        return self.pipeline_ecs_compatibility or ("v8" if int(self.compat) >= 8 else "disabled")
