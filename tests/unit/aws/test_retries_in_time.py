"""Peers that answer 500 get few calls in real time; `test_retries` has all calls and faults, on its own clock."""

import contextlib
import threading

import pytest

from penstock.io.aws.cloudwatch import MetricsUploader, Series, Statistics
from penstock.io.aws.session import AwsOptions, AwsSession
from penstock.io.elasticsearch import ElasticsearchOptions
from penstock.io.elasticsearch.writer import BulkWriter
from penstock.io.errors import PenstockError
from penstock.io.s3.objects import S3Objects
from penstock.io.s3.origin import S3Object
from penstock.io.s3.streams import ObjectStream
from tests.tools.peers.fake_http import fake_http
from tests.tools.samples.events import event

SECONDS = 2.5


def aws(url, **more):
    return AwsOptions(endpoint_url=url, access_key="a", secret_key="b", region="us-east-1", **more)


def elasticsearch(url, stopping):
    one = event(b"{}")
    one.id = "i"
    BulkWriter(ElasticsearchOptions(hosts=[url], stop_timeout=0), stopping).write([one])


def s3(url, stopping):
    ObjectStream(S3Objects(aws(url), stopping=stopping), S3Object("lake", "k", 5, "e", 0)).read()


def sts(url, stopping):
    session = AwsSession(aws(url, role_arn="arn:aws:iam::111122223333:role/r"))
    while not stopping.is_set():  # whoever asks for credentials asks again; the session says how soon
        with contextlib.suppress(Exception):
            session.client("kinesis").list_streams()
        stopping.wait(1)


def cloudwatch(url, stopping):
    series = {Series("Records", "Count"): Statistics(1.0)}
    session = AwsSession(aws(url))
    MetricsUploader(lambda: series, lambda: session, "P", every_s=60.0, option="", advice="").upload()


@pytest.mark.parametrize("call", [elasticsearch, s3, sts, cloudwatch], ids=lambda call: call.__name__)
def test_in_real_time_a_peer_that_answers_500_is_asked_a_few_times(call):
    stopping = threading.Event()
    timer = threading.Timer(SECONDS, stopping.set)
    timer.start()
    with fake_http(lambda _: (500, b"")) as peer:
        with contextlib.suppress(PenstockError):
            call(peer.url, stopping)
        timer.cancel()
        assert 1 <= len(peer.requests) <= 20
