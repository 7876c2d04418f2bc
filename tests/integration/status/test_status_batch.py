"""The status of the jobs around S3: an archive, whose events wait on purpose, and a backfill, which ends by itself."""

import pytest

from local.demo.jobs import Job
from local.servers.aws_server import REGION
from tests.tools.jobs.status_page import page_of, ready, status
from tests.tools.machine.waiting import wait_until

pytestmark = pytest.mark.servers


@pytest.fixture
def bucket(aws, unique_name):
    aws.client("s3").create_bucket(Bucket=unique_name)
    return unique_name


def test_an_archive_keeps_up_while_its_files_fill(aws, bucket, tmp_path):
    aws.create_stream(bucket, 2)
    options = [
        *("--kinesis_stream_name", bucket, "--application_name", bucket, "--region", REGION),
        *("--endpoint_url", aws.endpoint_url, "--archive", f"s3://{bucket}/lake", "--roll_seconds", "6"),
        *("--status_port", "0", "--status_max_lag", "4"),
    ]
    job = Job("kinesis-to-s3", options, tmp_path, "archive")
    try:
        page = page_of(job.wait_ready())
        records = [{"Data": b'{"n": %d}' % n, "PartitionKey": f"k{n}"} for n in range(100)]
        aws.client("kinesis").put_records(StreamName=bucket, Records=records)
        told = wait_until(
            lambda: ((found := status(page))["totals"]["lag_s"] or 0) > 4 and found, "events that wait"
        )
        assert told["totals"]["pending"] == 100
        assert told["job"]["ready"], told["job"]["reasons"]
        assert ready(page) == 200
        assert [step["name"] for step in told["steps"]] == ["ReadForArchive", "WriteToArchive"]
        told = wait_until(lambda: (found := status(page))["totals"]["out"] == 100 and found, "the upload")
        assert [each["name"] for each in told["requests"]] == ["kinesis_get_records", "s3_put_object"]
        assert told["steps"][1]["events"] == 100
        job.finish()
        assert job.exit_code == 0
    finally:
        job.kill()


def test_a_backfill_tells_how_far_it_is(elasticsearch, aws, bucket, tmp_path):
    lines = b"".join(b'{"n": %d}\n' % n for n in range(300))
    for number in range(20):
        aws.client("s3").put_object(Bucket=bucket, Key=f"{number}.json", Body=lines)
    options = [
        *("--input", f"s3://{bucket}/", "--region", REGION, "--endpoint_url", aws.endpoint_url),
        *("--hosts", elasticsearch.url, "--index", bucket, "--max_events_per_second", "600"),
        *("--max_batch_events", "200", "--status_port", "0"),
    ]
    job = Job("s3-to-elasticsearch", options, tmp_path, "backfill")
    try:
        page = page_of(job)
        told = wait_until(lambda: (found := status(page))["totals"]["out"] > 500 and found, "events written")
        assert ready(page) == 200
        assert 0 < told["job"]["progress"]["share"] < 1
        assert "of 20 objects" in told["job"]["progress"]["text"]
        assert told["totals"]["lag_s"] is None
        assert 0 < told["totals"]["out_per_s"] < 2000
        steps = [step["name"] for step in told["steps"]]
        assert steps == ["ReadFromS3", "Decode", "WriteToElasticsearch", "WriteDeadLetters", "FinishUnits"]
        assert told["steps"][2]["events"] >= 500
        assert any(each["name"] == "elasticsearch_bulk" for each in told["requests"])
        assert job.wait(120) == 0, job.last_words()
    finally:
        job.kill()
