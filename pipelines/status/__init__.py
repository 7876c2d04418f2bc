"""`status` shows a running job: a page, numbers for Prometheus, whether it is live and keeps up.

- `options`: --status_port and others.                - `steps`: the pipeline's real steps, each with a meter.
- `step_meters`: their meters.                          - `seen`: what a process, or several, tell at one moment.
- `monitor`: looks once per second.                    - `picture`: the last look; `history`: the last hour.
- `report`: the picture as the page's JSON.            - `metrics`: the picture in Prometheus' text format.
- `readiness`: whether the job keeps up.               - `outlook`: when it will have caught up.
- `words`: the picture in a line.                       - `page`: one HTML page, its server, and what starts and ends both.

The names below load when they are first used, so that a job's `--help` needs no Beam.
"""

from typing import TYPE_CHECKING

from penstock.transforms.lazy import lazily

if TYPE_CHECKING:
    from penstock.pipelines.status.monitor import Monitor
    from penstock.pipelines.status.options import StatusOptions
    from penstock.pipelines.status.page.server import StatusServer, page_trials
    from penstock.pipelines.status.page.showing import refuse_elsewhere, shown, told
    from penstock.pipelines.status.picture import Progress
    from penstock.pipelines.status.steps import steps_of

__all__ = [
    "Monitor",
    "Progress",
    "StatusOptions",
    "StatusServer",
    "page_trials",
    "refuse_elsewhere",
    "shown",
    "steps_of",
    "told",
]

__getattr__ = lazily(
    __name__,
    {
        "Monitor": "monitor",
        "Progress": "picture",
        "StatusOptions": "options",
        "StatusServer": "page.server",
        "page_trials": "page.server",
        "refuse_elsewhere": "page.showing",
        "shown": "page.showing",
        "steps_of": "steps",
        "told": "page.showing",
    },
)
