"""The two files of the examples, unchanged, and the overrides that lead them to a test's servers."""

from typing import Any

from local.demo.logstash_files import EXAMPLES
from tests.tools.jobs.pipeline import Pipeline

__all__ = ["two_files"]


def two_files(pipeline: Pipeline) -> dict[str, list[str]]:
    """Gives the options of `penstock logstash` for either file, by its name."""
    sets: dict[str, dict[str, dict[str, Any]]] = {
        "beats-to-kinesis": {
            "input.beats": {"host": "127.0.0.1", "port": pipeline.port},
            "output.kinesis": {"stream_name": pipeline.name, "endpoint_url": pipeline.aws.endpoint_url},
        },
        "kinesis-to-elasticsearch": {
            "input.kinesis": {
                "kinesis_stream_name": pipeline.name,
                "application_name": pipeline.name,
                "checkpoint_interval_seconds": 1,
                "additional_settings": '{ "failover_time_millis" => 2000 }',
                "endpoint_url": pipeline.aws.endpoint_url,
            },
            "output.elasticsearch": {
                "hosts": pipeline.elasticsearch.url,
                "index": f"{pipeline.name}-%{{+YYYY.MM.dd}}",
            },
        },
    }
    found = {}
    for name, plugins in sets.items():
        found[name] = ["-f", str(EXAMPLES / f"{name}.conf")]
        for plugin, options in plugins.items():
            for option, value in options.items():
                found[name] += ["--set", f"{plugin}.{option}={value}"]
    return found
