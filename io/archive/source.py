"""`ReadForArchive` reads a stream for the archive: the lease table alone says where to go on.

The archive acknowledges after an upload, long after the batch has left the chain. A runner that keeps positions of
its own would count them as done when the batch was processed. So this source tells the runner no position and
takes none from it. A new reader finds everything as it was: batches that the archive holds stay
handed out.
"""

import functools
import time
from collections.abc import Callable
from typing import Any, Unpack

import apache_beam as beam

from penstock.io.aws.session import AwsOptions
from penstock.io.chain.unbounded import Pacing
from penstock.io.elements import options_of, takes
from penstock.io.errors import OptionError
from penstock.io.keywords.kinesis import ReadKeywords
from penstock.io.kinesis.read.live_stream import KinesisLive
from penstock.io.kinesis.read.source import ALSO, read_shards
from penstock.io.kinesis.read_options import KinesisReadOptions
from penstock.io.options import display_data_of

__all__ = ["LeaseOnlyKinesis", "ReadForArchive", "require_archive_read"]

_LIVE_APPLICATION = "logstash"
"""The name that live jobs had by default."""


class LeaseOnlyKinesis(KinesisLive):
    """A `KinesisLive` that goes only by the lease table; it has the same arguments."""

    def __init__(self, key: str, options: KinesisReadOptions, aws: AwsOptions, **further: Any) -> None:
        super().__init__(key, options, aws, **further)
        self._begun = False
        self.before_close: Callable[[], None] | None = None
        """Called before the last checkpoints are written, so that the archive uploads what it holds."""
        self.trouble = ""
        """The reason why nothing can be uploaded at present, for `/readyz`."""

    def resume(self, position: Any) -> None:
        """Lets a reader start. The first one opens the shards, the others find them open."""
        if not self._begun:
            self._begun = True
            super().resume(None)

    def position(self) -> Any:
        """None, because the runner must keep no position of events that are not uploaded."""
        return None

    def idle_for(self, seconds: float) -> bool:
        """Whether nothing has come for that long. Records that wait for their upload don't count: the stop uploads them."""
        return self.ready and self.all_handed_out and time.monotonic() - self.last_activity >= seconds

    def unread(self) -> list[str]:
        """Gives the lines of `KinesisLive`, and why read records can't be archived."""
        return [*super().unread(), *([self.trouble] if self.trouble else [])]

    def close(self) -> None:
        """Lets the archive finish, then closes as `KinesisLive` does."""
        self.stop()
        if self.before_close is not None:
            self.before_close()
        super().close()


def require_archive_read(options: KinesisReadOptions) -> None:
    """Raises `OptionError` when there is no lease table, or when it is that of the live job."""
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


@takes(KinesisReadOptions, AwsOptions, **ALSO)
class ReadForArchive(beam.PTransform):
    """`ReadFromKinesis` for a chain that ends in `WriteToArchive`; arguments, guarantee and IAM actions as there.

    Raises:
        OptionError: see `require_archive_read`.
    """

    def __init__(
        self,
        options: KinesisReadOptions | None = None,
        aws: AwsOptions | None = None,
        *,
        pacing: Pacing | None = None,
        **arguments: Unpack[ReadKeywords],
    ) -> None:
        super().__init__()
        self._options, self._aws = options_of(
            "ReadForArchive", arguments, {KinesisReadOptions: options, AwsOptions: aws}, **ALSO
        )
        try:
            require_archive_read(self._options)
        except OptionError as error:
            message = f"ReadForArchive: {str(error).replace('--', '')}"
            raise OptionError(message) from None
        self._pacing = pacing

    def display_data(self) -> dict[str, Any]:  # noqa: D102
        return display_data_of(self._options, self._aws)

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:  # noqa: D102
        make = functools.partial(LeaseOnlyKinesis, options=self._options, aws=self._aws)
        return read_shards(begin, self._options, make, self._pacing)
