"""`SHARES` says how many processes of this machine run this job together; each takes its part of the job's bounds.

A bound such as `max_pending_bytes` is the whole job's, however many processes it has. Sources ask here for their part.
"""

from penstock.io.errors import OptionError

__all__ = ["SHARES", "Shares"]


class Shares:
    """The number of processes, and parts of a bound.

    Attributes:
        processes: how many run the job together; set before anything is built.
    """

    def __init__(self, processes: int = 1) -> None:
        self.processes = processes

    def part(self, bound: int, *, least: int = 1) -> int:
        """Gives this process's part of a bound, rounded up, at least `least`; the whole bound where it is alone."""
        return bound if self.processes == 1 else max(least, -(-bound // self.processes))

    def require_alone(self, what: str) -> None:
        """Raises `OptionError` where several processes would each do `what`."""
        if self.processes > 1:
            message = f"--workers {self.processes}: each worker would {what}. Leave --workers out."
            raise OptionError(message)


SHARES = Shares()
"""The shares of this process."""
