"""A stream that mixes what people send, and a prefix with each kind of object: complete and once after kill and replay."""

import gzip
import io
import json
import os
import subprocess
import sys

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import orc

from local.demo import evidence
from local.servers.aws_server import CREDENTIALS, REGION
from tests.tools.machine.waiting import wait_until
from tests.unit.codecs import samples

pytestmark = [pytest.mark.servers, pytest.mark.kills]

RECORDS = 150
PER_RECORD = 20


def rows(first, count=PER_RECORD):
    return [{"n": n, "message": f"line {n}"} for n in range(first, first + count)]


def lines(documents, between=b"\n"):
    return between.join(json.dumps(document).encode() for document in documents)


def subscription(first, count=PER_RECORD):
    """CloudWatch Logs: the number stands in the message, and in the event's own id."""
    record = json.loads(samples.subscription(*(f"line {n}" for n in range(first, first + count))))
    for number, event in enumerate(record["logEvents"], first):
        event["id"] = f"id-{number}"
    return json.dumps(record).encode()


def numbers(documents):
    return sorted(int(document["message"].split()[1]) for document in documents)


def test_a_stream_of_json_cloudwatch_logs_and_firehose(pipeline):
    kinds = (
        lambda first: lines(rows(first)),
        lambda first: gzip.compress(subscription(first)),
        lambda first: lines(rows(first), b""),
        lambda first: gzip.compress(gzip.compress(subscription(first, 10)) + gzip.compress(subscription(first + 10, 10))),
    )  # fmt: skip
    client = pipeline.aws.client("kinesis")
    records = [
        {"Data": kinds[number % len(kinds)](number * PER_RECORD), "PartitionKey": str(number)}
        for number in range(RECORDS)
    ]
    assert client.put_records(StreamName=pipeline.name, Records=records)["FailedRecordCount"] == 0
    total = RECORDS * PER_RECORD

    slow = (
        "--codec", "auto", "--shard_reads_per_second", "2", "--checkpoint_interval_seconds", "1",
        "--additional_settings", "failoverTimeMillis=2000,maxRecords=5",
    )  # fmt: skip
    job = pipeline.start_kinesis(*slow)
    wait_until(lambda: pipeline.count() >= total // 10, "a tenth of the events")
    job.kill()
    assert pipeline.count() < total, "killed too late to prove anything"
    job = pipeline.start_kinesis("--codec", "auto", "--additional_settings", "failoverTimeMillis=2000")
    pipeline.wait_for(total)
    job.finish()
    assert numbers(pipeline.documents()) == list(range(total))

    # All of it again, and records behind it that say when: as many as make sure that each shard has one.
    replay = pipeline.start_kinesis("--codec", "auto", "--reset_checkpoints", ready=False)
    last = [{"Data": b'{"last":true}', "PartitionKey": str(n)} for n in range(20)]
    assert client.put_records(StreamName=pipeline.name, Records=last)["FailedRecordCount"] == 0
    pipeline.wait_for(total + len(last))
    replay.finish()
    assert numbers(d for d in pipeline.documents() if "last" not in d) == list(range(total))
    assert pipeline.count() == total + len(last)
    assert not pipeline.dead_letters()


def table_as(write, first):
    output = io.BytesIO()
    write(pa.Table.from_pylist(rows(first)), output)
    return output.getvalue()


def avro(first):
    output = io.BytesIO()
    fields = [{"name": "n", "type": "long"}, {"name": "message", "type": "string"}]
    fastavro.writer(output, {"type": "record", "name": "r", "fields": fields}, rows(first))
    return output.getvalue()


AUTO = {
    "lines.gz": lambda first: gzip.compress(lines(rows(first))),
    "firehose": lambda first: lines(rows(first), b""),
    "pretty": lambda first: json.dumps(rows(first), indent=1).encode(),
    "records": lambda first: json.dumps({"Records": rows(first)}).encode(),
    "parquet": lambda first: table_as(pq.write_table, first),
    "orc": lambda first: table_as(orc.write_table, first),
    "avro": avro,
    "cloudwatch.gz": lambda first: gzip.compress(subscription(first, 10)) + gzip.compress(subscription(first + 10, 10)),
}  # fmt: skip
VPC_HEAD, VPC_LINE = samples.VPC_CUSTOM.splitlines()
FRONT_HEAD, FRONT_LINE = samples.CLOUDFRONT.rstrip(b"\n").rsplit(b"\n", 1)
TEXT = {
    "csv": (b"message,x", b'"line %d",y', "message"),
    "vpcflow": (VPC_HEAD, VPC_LINE.replace(b" 43416 ", b" %d "), "srcport"),
    "alb": (None, samples.ALB.replace(b" 5 257 ", b" %d 257 "), "received_bytes"),
    "cloudfront": (FRONT_HEAD, FRONT_LINE.replace(b"%", b"%%").replace(b"\t392\t", b"\t%d\t"), "sc_bytes"),
    "s3access": (None, samples.S3_ACCESS.replace(b"%", b"%%").replace(b" 113 ", b" %d "), "bytes_sent"),
}
RUN = """
import sys
from penstock.pipelines.jobs import s3_to_elasticsearch
codecs, *options = sys.argv[1:]
for codec in codecs.split(","):
    given = ["--codec", codec, *(each.replace("CODEC", codec) for each in options)]
    code = s3_to_elasticsearch.JOB.main(given)
    if code:
        sys.exit(code)
"""


def test_a_prefix_with_an_object_of_each_kind(elasticsearch, aws, unique_name, tmp_path):
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=unique_name)
    for place, (name, make) in enumerate(AUTO.items()):
        s3.put_object(Bucket=unique_name, Key=f"auto/{name}", Body=make(place * PER_RECORD))
    for codec, (head, line, _) in TEXT.items():
        content = b"\n".join(([head] if head else []) + [line % n for n in range(PER_RECORD)])
        s3.put_object(Bucket=unique_name, Key=f"{codec}/one.gz", Body=gzip.compress(content))
    command = [
        sys.executable, "-P", "-c", RUN, ",".join([*TEXT, "auto"]),
        "--input", f"s3://{unique_name}/CODEC/", "--hosts", elasticsearch.url, "--index", f"{unique_name}-CODEC",
        "--region", REGION, "--endpoint_url", aws.endpoint_url, "--dead_letters", f"file://{tmp_path}/letters",
    ]  # fmt: skip
    client = elasticsearch.client(request_timeout=30)

    def documents(codec):
        return evidence.documents(client, f"{unique_name}-{codec}")

    environment = {**os.environ, **CREDENTIALS}
    job = subprocess.Popen(
        [*command, "--max_events_per_second", "100", "--max_batch_events", "10"],
        env=environment,
        cwd=tmp_path,
    )
    try:
        wait_until(lambda: len(documents("auto")) >= PER_RECORD, "the first object's events")
    finally:
        job.kill()
        job.wait()
    total = len(AUTO) * PER_RECORD
    assert len(documents("auto")) < total, "killed too late to prove anything"
    # The rest of what was killed, and all of what had been finished again.
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert numbers(documents("auto")) == list(range(total))
    for codec, (_, _, field) in TEXT.items():
        found = [document.get("aws", {codec: document})[codec] for document in documents(codec)]
        seen = numbers(found) if codec == "csv" else sorted(each[field] for each in found)
        assert seen == list(range(PER_RECORD)), codec
