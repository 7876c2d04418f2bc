"""`io/beats` reads what Filebeat, Winlogbeat and other Beats send, and tells them when it is durable.

from penstock.io.beats import BeatsOptions, ReadFromBeats

batches = pipeline | ReadFromBeats(BeatsOptions(host="127.0.0.1", port=5044))
"""

from penstock.io.beats.options import BeatsOptions
from penstock.io.beats.origin import BeatsClient
from penstock.io.beats.preflight import require_listenable, trials
from penstock.io.beats.source import ReadFromBeats

__all__ = ["BeatsClient", "BeatsOptions", "ReadFromBeats", "require_listenable", "trials"]
