"""`ReadForArchive` reads a stream for the archive: the lease table alone says where to go on.

The archive acknowledges after an upload, long after the batch has left the chain. A runner that keeps positions of
its own would take them for done when the batch was processed; so this source tells the runner no position and
takes none from it. A reader that comes back finds everything as it was: batches that the archive holds stay
handed out.
"""

import functools
import time
from collections.abc import Callable
from typing import Any

import apache_beam as beam

from penstock.io.aws.session import AwsOptions
from penstock.io.chain.unbounded import Pacing
from penstock.io.errors import OptionError
from penstock.io.kinesis.read.live_stream import KinesisLive
from penstock.io.kinesis.read.source import read_shards
from penstock.io.kinesis.read_options import KinesisReadOptions
from penstock.io.options import display_data_of

__all__ = ["LeaseOnlyKinesis", "ReadForArchive", "require_archive_read"]

_LIVE_APPLICATION = "logstash"
"""Under this name live jobs ran by default."""


class LeaseOnlyKinesis(KinesisLive):
    """A `KinesisLive` whose only memory is the lease table; arguments as there."""

    def __init__(self, key: str, options: KinesisReadOptions, aws: AwsOptions, **further: Any) -> None:
        super().__init__(key, options, aws, **further)
        self._begun = False
        self.before_close: Callable[[], None] | None = None
        """Called before the last checkpoints are written: the archive uploads what it holds."""
        self.trouble = ""
        """Why nothing can be uploaded at present, for `/readyz`."""

    def resume(self, position: Any) -> None:
        """A reader starts: the first one opens the shards, the others find them open."""
        if not self._begun:
            self._begun = True
            super().resume(None)

    def position(self) -> Any:
        """None: the runner must not keep what isn't uploaded."""
        return None

    def idle_for(self, seconds: float) -> bool:
        """Whether nothing has come for that long; what waits for its upload is uploaded by the stop."""
        return self.ready and self.all_handed_out and time.monotonic() - self.last_activity >= seconds

    def unread(self) -> list[str]:
        """Also what is read and can't be archived."""
        return [*super().unread(), *([self.trouble] if self.trouble else [])]

    def close(self) -> None:
        """Lets the archive finish, then as `KinesisLive`."""
        self.stop()
        if self.before_close is not None:
            self.before_close()
        super().close()


def require_archive_read(options: KinesisReadOptions) -> None:
    """Raises `OptionError` for what an archive can't live with: no lease table, or somebody else's."""
    if options.checkpoints == "none":
        message = (
            "--checkpoints none: the archive knows from the lease table alone what is uploaded. Leave it out."
        )
        raise OptionError(message)
    if options.application_name == _LIVE_APPLICATION:
        message = (
            f"--application_name {_LIVE_APPLICATION} is the live job's by tradition, and jobs of one name share the shards: "
            "each would get half of the events. Give the archive a name of its own."
        )
        raise OptionError(message)


class ReadForArchive(beam.PTransform):
    """`ReadFromKinesis` for a chain that ends in `WriteToArchive`; arguments, guarantee and IAM actions as there.

    Raises:
        OptionError: see `require_archive_read`.
    """

    def __init__(self, options: KinesisReadOptions, aws: AwsOptions, *, pacing: Pacing | None = None) -> None:
        super().__init__()
        require_archive_read(options)
        self._options = options
        self._aws = aws
        self._pacing = pacing

    def display_data(self) -> dict[str, Any]:  # noqa: D102
        return display_data_of(self._options, self._aws)

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:  # noqa: D102
        make = functools.partial(_connect, self._options, self._aws)
        return read_shards(begin, self._options, make, self._pacing)


def _connect(options: KinesisReadOptions, aws: AwsOptions, key: str) -> LeaseOnlyKinesis:
    return LeaseOnlyKinesis(key, options, aws)
