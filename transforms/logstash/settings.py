"""`settings` declares the options of a job that runs a Logstash configuration's filters."""

import dataclasses
from pathlib import Path

from penstock.transforms.logstash.compile import ECS, Step
from penstock.transforms.options import option

__all__ = ["FilterOptions"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class FilterOptions:
    """Which filters run, and how they read their configuration."""

    filters: str = option(
        "", help="File with the Logstash configuration whose filters run; other sections are parsed only."
    )
    ecs_compatibility: str = option(
        "v8",
        help="Whether filters name fields by the Elastic Common Schema; disabled is Logstash 7's way.",
        choices=ECS,
    )
    support_escapes: bool = option(False, help="Replace \\n, \\t and the like in the configuration's texts.")
    timezone: str = option("UTC", help="The IANA zone of times that name none.")
    allow_code: bool = option(
        False,
        help="Let python { code } run: code of the configuration's author, with all permissions of the job.",
    )

    @property
    def step(self) -> Step | None:
        """Makes the filters from their file; None without one. Raises `OSError` where it cannot be read."""
        if not self.filters:
            return None
        return Step(
            "text",
            Path(self.filters).read_text(encoding="utf-8"),
            ecs_compatibility=self.ecs_compatibility,
            support_escapes=self.support_escapes,
            timezone=self.timezone,
            allow_code=self.allow_code,
        )
