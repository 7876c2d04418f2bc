"""What a running job shows of itself: a page, numbers for Prometheus, whether it is live and keeps up.

- `options`: --status_port and its like.               - `steps`: the pipeline's real steps, each with a meter.
- `monitor`: looks once a second; what it saw last.    - `history`: the last hour, bounded.
- `readiness`: whether the job keeps up.               - `metrics`: Prometheus' text format.
- `showing`: all of it around a run.                   - `words`: the same in a line.
- `server`: HTTP, for whoever may look.                - `page`: one HTML page (page.html, page.css, page.js).
"""

from penstock.pipelines.status.monitor import Monitor, Progress
from penstock.pipelines.status.options import StatusOptions
from penstock.pipelines.status.page_server import StatusServer, page_trials
from penstock.pipelines.status.showing import refuse_elsewhere, shown

__all__ = ["Monitor", "Progress", "StatusOptions", "StatusServer", "page_trials", "refuse_elsewhere", "shown"]
