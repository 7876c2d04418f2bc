"""`logstash_files` is `./run_local.sh logstash [FILE ...]`: each file runs unchanged on local servers, until Ctrl-C."""

import contextlib
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from local.demo import jobs
from local.demo.search_api import SearchApi
from local.processes import LocalError, Process
from local.servers import cache
from local.servers.aws_server import CREDENTIALS, AwsServer
from local.servers.elasticsearch_server import free_port
from local.servers.search.chosen import find_server
from local.terminal import Progress
from penstock.io.errors import PenstockError
from penstock.pipelines.logstash.options import LogstashOptions
from penstock.pipelines.logstash.plan import Plan
from penstock.pipelines.logstash.reading.planner import make_plan
from penstock.pipelines.logstash.reading.sources import read_files

__all__ = ["run"]

EXAMPLES = Path(__file__).parents[2] / "examples" / "logstash"
FILES = (EXAMPLES / "beats-to-kinesis.conf", EXAMPLES / "kinesis-to-elasticsearch.conf")
ELASTICSEARCH_PORT = 9200
TEMPLATE = {
    "index_patterns": ["logs-*-*"],
    "priority": 100,
    "data_stream": {},
    "template": {
        "settings": {"number_of_replicas": 0},
        "mappings": {
            "properties": {"@timestamp": {"type": "date"}, "message": {"type": "text"}},
            "dynamic_templates": [
                {
                    "texts": {
                        "match_mapping_type": "string",
                        "mapping": {"type": "keyword", "ignore_above": 1024},
                    }
                }
            ],
        },
    },
}
"""What a whole Elasticsearch has from the start, and this small one lacks: `logs-generic-default`, where the output
`elasticsearch` writes by default, is a data stream."""
SHARDS = 2


def run(given: Sequence[Path], progress: Progress) -> int:
    """Runs a job per file until one ends, or until Ctrl-C. Returns the exit code."""
    files = [path.resolve() for path in given or FILES]
    plans = [_plan(path) for path in files]
    for port, wanted in ((_beats_port(plans), "the input beats"), (ELASTICSEARCH_PORT, "Elasticsearch")):
        if port and free_port(port) != port:
            message = f"port {port} of 127.0.0.1 is taken, and {wanted} needs it: end what listens there."
            raise LocalError(message)
    make_server = find_server("elasticsearch", progress)
    folder = cache.new_run_folder("logstash")
    started: list[Process] = []
    try:
        progress.begin("starting moto (Kinesis, DynamoDB)")
        aws = AwsServer(folder)
        started.append(aws.process)
        server = make_server(folder / "elasticsearch", port=ELASTICSEARCH_PORT)
        server.start(wait=False)
        started += [server.process] if server.process else []
        endpoint = aws.wait_ready(lambda: progress.update("")).endpoint_url
        for name in sorted(_streams(plans)):
            aws.create_stream(name, SHARDS)
        progress.done(f"moto: Kinesis and DynamoDB at {endpoint}")
        progress.begin(f"starting {server.product}")
        server.wait_ready(lambda: progress.update(""))
        SearchApi(server.url).put_index_template("logs", TEMPLATE)
        progress.done(f"{server.product} at {server.url}")
        progress.begin("starting the jobs")
        running = [_job(path, plan, folder, endpoint) for path, plan in zip(files, plans, strict=True)]
        started = [*running, *started]
        for job in running:
            job.wait_ready(lambda: progress.update(""))
        progress.done(f"{len(running)} jobs run; logs are in {folder}")
        print(_guide(plans, server.url))
        while True:
            for process in started:
                process.check()
            time.sleep(0.5)
    finally:
        for process in started:
            with contextlib.suppress(OSError, LocalError):
                process.stop(10.0)
                process.kill()
        shutil.rmtree(folder / "elasticsearch" / "data", ignore_errors=True)


def _plan(path: Path) -> Plan:
    try:
        options = LogstashOptions(path_config=str(path))
        return make_plan("main", read_files(str(path)), options).plan
    except PenstockError as error:
        raise LocalError(str(error)) from error


def _beats_port(plans: Sequence[Plan]) -> int:
    """The first port that an input beats wants; 0 where none does."""
    ports = [each.options.port for plan in plans for each in plan.inputs if each.plugin == "beats"]
    return ports[0] if ports else 0


def _streams(plans: Sequence[Plan]) -> set[str]:
    read = {each.options.stream_name for plan in plans for each in plan.inputs if each.plugin == "kinesis"}
    written = {
        each.options.stream_name for plan in plans for each in plan.outputs if each.plugin == "kinesis"
    }
    return read | {name for name in written if "%{" not in name}


def _job(path: Path, plan: Plan, folder: Path, endpoint: str) -> jobs.Job:
    options = ["-f", str(path), "--dead_letters", f"file://{folder}/dead_letters/{path.stem}.jsonl"]
    if any(each.plugin == "beats" for each in plan.inputs):
        options += ["--set", "input.beats.host=127.0.0.1"]
    environment = {**CREDENTIALS, "AWS_ENDPOINT_URL": endpoint}
    return jobs.Job("logstash", options, folder, path.stem, environment)


def _guide(plans: Sequence[Plan], elasticsearch: str) -> str:
    port = _beats_port(plans)
    program = Path(__file__).with_name("beats_client.py")
    beats = ""
    if port:
        beats = f"""
Point Filebeat at 127.0.0.1:{port} (output.logstash), or ship a file without Filebeat:

    .venv/bin/python -P {program} --host 127.0.0.1 --port {port} FILE
"""
    return f"""{beats}
Look at what arrived:

    {elasticsearch}/_search?sort=@timestamp:desc&size=20&pretty

Ctrl-C ends all of it, its data too.
"""
