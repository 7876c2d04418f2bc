"""`io/beats` reads what Filebeat, Winlogbeat and other Beats send, and tells them when it is durable.

from penstock.io.beats import BeatsOptions, ReadFromBeats

batches = pipeline | ReadFromBeats(BeatsOptions(host="127.0.0.1", port=5044))

The names below load when they are first used, so that a job's `--help` needs no Beam.
"""

from typing import TYPE_CHECKING

from penstock.transforms.lazy import lazily

if TYPE_CHECKING:
    from penstock.io.beats.options import BeatsOptions
    from penstock.io.beats.origin import BeatsClient
    from penstock.io.beats.preflight import require_listenable, trials
    from penstock.io.beats.source import ReadFromBeats

__all__ = ["BeatsClient", "BeatsOptions", "ReadFromBeats", "require_listenable", "trials"]

__getattr__ = lazily(
    __name__,
    {
        "BeatsClient": "origin",
        "BeatsOptions": "options",
        "ReadFromBeats": "source",
        "require_listenable": "preflight",
        "trials": "preflight",
    },
)
