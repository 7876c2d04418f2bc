"""`options` declares the options of the status page; every job has them."""

import dataclasses

from penstock.io.errors import OptionError
from penstock.io.options import option

__all__ = ["StatusOptions"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class StatusOptions:
    """Where the status page is served, and when the job counts as ready."""

    status_port: int | None = option(
        None,
        help="Serve a page that shows what the job does on this port, with /metrics for Prometheus, /healthz and /readyz; "
        "0: any free port, which is logged. Off without it. Everybody who reaches the port may look: there is no password.",
    )
    status_host: str = option(
        "127.0.0.1",
        help="Address to serve that page on. Anything but loopback shows it to the network: see docs/status.md.",
    )
    status_names: list[str] = option(
        [],
        help="Host names under which the page may be asked for, besides localhost and plain addresses. Others are refused, "
        "so that no web site can read the page by pointing its own name here.",
    )
    status_max_lag: float = option(
        60.0,
        help="/readyz says no when events wait longer than that many seconds, or a shard is further behind.",
    )

    def __post_init__(self) -> None:
        if self.status_port is not None and not 0 <= self.status_port <= 65535:
            message = f"--status_port {self.status_port} is no port (0 to 65535)."
            raise OptionError(message)
        if self.status_max_lag <= 0:
            message = "--status_max_lag must be more than 0 seconds."
            raise OptionError(message)
