"""Reads one object as the job does, and a bucket as moto serves it."""

import os

import boto3
import orjson
import pytest
from moto import mock_aws

from penstock.io.aws.session import AwsOptions
from penstock.io.s3.objects import LocalFiles, S3Objects
from penstock.io.s3.options import S3ReadOptions
from penstock.io.s3.origin import WorkUnit
from penstock.io.s3.reading import UnitReader


@pytest.fixture
def read(tmp_path):
    """Reads a file of these bytes: documents (or events), letters as (error, reason), and the reader."""

    def run(content, decoder=None, events=False, **options):
        path = tmp_path / "object"
        path.write_bytes(content)
        os.utime(path, (1, 1))  # the same bytes have the same ids
        store = LocalFiles()
        reader = UnitReader(
            WorkUnit(store.stat("", str(path))), S3ReadOptions(input=["x"], **options), store, (), decoder
        )
        documents, letters = [], []
        for found, refused in reader.pieces():
            if events:
                documents += found
            else:
                documents += [event.data if decoder else orjson.loads(event.data) for event in found]
            letters += [(letter.error, letter.reason) for letter in refused]
        return documents, letters, reader

    return run


BUCKET = "lake-of-tests"


@pytest.fixture
def s3():
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket=BUCKET)
        yield client


@pytest.fixture
def store(s3):
    return S3Objects(AwsOptions(access_key="a", secret_key="b"))
