"""Every command and snippet of the pages is run, as it stands there, against local servers.

What changes on the way: addresses (`localhost:9200`, ports 5044 and 8080, all interfaces), folders (`/var/lib/penstock`),
the endpoint. `penstock` is a script that lets endless jobs end once nothing comes, and `aws` one that knows the services'
models. What cannot run here says so in the page, on the line above it: `<!-- not run: reason -->`.
"""

import json
import os
import re
import stat
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import yaml

from local.servers.aws_server import CREDENTIALS
from local.servers.elasticsearch_server import free_port
from penstock.io.dead_letters import encode
from penstock.transforms.batch import DeadLetter
from tests import servers
from tests.tools.machine.yaml_environment import yaml_python
from tests.tools.samples.events import event

pytestmark = pytest.mark.servers
ROOT = Path(__file__).parents[3]
AWS_CLI = ROOT / "tests/tools/peers/aws_cli.py"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "examples" / "README.md"])
BLOCK = re.compile(
    r"^(?:<!-- not run: (?P<why>[^\n]*) -->\n)?```(?P<kind>\w+)\n(?P<text>.*?)^```", re.M | re.S
)
SHOWN_ONLY = {"ruby", "text", "ini"}  # another program's configuration
SHIM = """\
#!/bin/sh
case "$*" in *--help*|*--provider_file*|*--policy*) exec {penstock} "$@";; esac
case "$1" in
check) [ "$2" = beats-to-kinesis ] && set -- "$@" --beats_port {port}; set -- "$@" --endpoint_url {aws};;
beats-to-kinesis|kinesis-to-*) set -- "$@" --endpoint_url {aws} --stop_when_idle 2;;
run) export PENSTOCK_ENDPOINT_URL={aws} PENSTOCK_STOP_WHEN_IDLE=4;;
run-yaml) shift; exec {yaml_python} -P -m penstock.pipelines run-yaml --stop_when_idle 2 "$@";;
*-*) set -- "$@" --endpoint_url {aws};;
esac
exec {penstock} "$@"
"""
AWS = """\
#!/bin/sh
exec {python} -P {program} {aws} "$@"
"""


def blocks(page):
    return [(found["kind"], found["text"], found["why"], page.read_text()[: found.start()].count("\n") + 1)
            for found in BLOCK.finditer(page.read_text())]  # fmt: skip


class World:
    """What the pages take for granted: a stream, buckets, a folder with dead letters; and where each thing really is."""

    def __init__(self, aws, elasticsearch, folder):
        self.folder = folder
        self.port = free_port()
        self.aws = aws.endpoint_url
        self.places = {
            "http://localhost:9200": elasticsearch.url,
            "localhost:9200": elasticsearch.url,
            "5044": str(self.port),
            "8080": str(free_port()),
            "0.0.0.0": "127.0.0.1",
            "/var/lib/penstock": str(folder / "lib"),
            "region: us-east-1": f'region: us-east-1, endpoint_url: "{self.aws}"',
            'AwsOptions(region="us-east-1")': f'AwsOptions(region="us-east-1", endpoint_url="{self.aws}")',
            'region="us-east-1")': f'region="us-east-1", endpoint_url="{self.aws}")',
            "JobOptions()": "JobOptions(stop_when_idle=2)",
        }
        (folder / "lib").mkdir()
        letter = DeadLetter(event(b'{"message": "once refused"}'), "some_exception", "why", "elasticsearch")
        (folder / "lib" / "refused.jsonl").write_bytes(encode(letter))

    def here(self, text):
        """The snippet with every address and folder of ours in place of the page's."""
        pattern = "|".join(map(re.escape, sorted(self.places, key=len, reverse=True)))
        return re.sub(pattern, lambda found: self.places[found[0]], text)

    def run(self, *command):
        scripts = self.folder / "bin"
        if not scripts.exists():
            scripts.mkdir()
            penstock = Path(sysconfig.get_path("scripts")) / "penstock"
            written = {
                "penstock": SHIM.format(
                    penstock=penstock, yaml_python=self.yaml, port=self.port, aws=self.aws
                ),
                "aws": AWS.format(python=sys.executable, program=AWS_CLI, aws=self.aws),
            }
            for name, text in written.items():
                shim = scripts / name
                shim.write_text(text)
                shim.chmod(shim.stat().st_mode | stat.S_IXUSR)
        path = os.pathsep.join((str(scripts), sysconfig.get_path("scripts"), os.environ["PATH"]))
        done = subprocess.run(
            [str(part) for part in command], cwd=self.folder, capture_output=True, text=True, timeout=240, check=False,
            env={**os.environ, **CREDENTIALS, "PATH": path},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Traceback" not in done.stderr, done.stderr

    yaml = "false"  # until a snippet needs it

    def do(self, kind, text):
        if kind == "sh":
            if "run-yaml" in text and "--provider_file" not in text:
                self.yaml = yaml_python()
            self.run("bash", "-euo", "pipefail", "-c", self.here(text))
        elif kind == "python":
            (self.folder / "snippet.py").write_text(self.here(text))
            self.run(sys.executable, "-P", "snippet.py")
        elif kind == "yaml":
            if "pipeline" in yaml.safe_load(text):
                (self.folder / "snippet.yaml").write_text(self.here(text))
                self.run(
                    yaml_python(), "-P", "-m", "penstock", "run-yaml", "--stop_when_idle", "2",
                    "--yaml_pipeline_file", "snippet.yaml",
                )  # fmt: skip
        elif kind == "json":
            json.loads(text)
        else:
            raise AssertionError(f"```{kind}: nobody knows how to run it")


@pytest.fixture(scope="module")
def own_aws():
    """A moto of this module's own: the pages' names stand in it as they are."""
    with servers.private_aws() as factory:
        aws = factory()
        kinesis, s3 = aws.client("kinesis"), aws.client("s3")
        for name in ("kinesis_poc", "logs"):
            kinesis.create_stream(StreamName=name, ShardCount=1)
            kinesis.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig={"Delay": 1})
            data = b'{"message": "hello", "log": {"level": "error"}}'
            kinesis.put_record(StreamName=name, Data=data, PartitionKey="a")
        for name in ("logs", "lake"):
            s3.create_bucket(Bucket=name)
        s3.put_object(Bucket="logs", Key="app/2026/10/05/a.jsonl", Body=b'{"message": "old"}\n')
        yield aws


@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda page: page.name)
def test_what_a_page_shows_runs(page, own_aws, elasticsearch, tmp_path):
    world = World(own_aws, elasticsearch, tmp_path)
    for kind, text, why, line in blocks(page):
        if why is None and kind not in SHOWN_ONLY:
            try:
                world.do(kind, text)
            except AssertionError as error:
                raise AssertionError(f"{page.name}:{line}: {error}") from None


def test_every_fence_is_seen_and_few_are_left_out():
    left_out = []
    for page in PAGES:
        fences = [line for line in page.read_text().splitlines() if re.match(r"```\w", line)]
        assert len(fences) == len(blocks(page)), f"{page.name}: a fence that BLOCK doesn't match"
        left_out += [f"{page.name}:{line}" for _, _, why, line in blocks(page) if why is not None]
        assert all(len(why) > 10 for _, _, why, _ in blocks(page) if why is not None), page.name
    assert len(left_out) <= 20, left_out
