"""`penstock.testing` tries transforms and whole pipelines in one process: no container, nothing to install or start.

- `through`: the output of one transform for some events.
- `batch_of`, `Collect`: a source and a sink for a chain of batches.
- `InMemoryKinesis`, `InMemoryElasticsearch`: peers that hold what they are given. They listen on free ports of 127.0.0.1,
  so a pipeline meets them as it meets the real ones, on any runner of this machine.
"""

from penstock.testing.elasticsearch import InMemoryElasticsearch
from penstock.testing.kinesis import InMemoryKinesis
from penstock.testing.running import Collect, batch_of, through

__all__ = ["Collect", "InMemoryElasticsearch", "InMemoryKinesis", "batch_of", "through"]
