"""`penstock logstash` as its user runs it, on local servers: what only whole processes show."""

import os
import subprocess
import sys

import pytest

from local.servers.aws_server import CREDENTIALS, REGION

pytestmark = pytest.mark.servers

OBJECTS = """
input { s3 { bucket => "%(name)s" prefix => "a/" region => "%(region)s" codec => json
             sincedb_path => "%(folder)s/sincedb" include_object_properties => true } }
filter { if [n] == 1 { drop { } } mutate { add_field => { "key" => "%%{[@metadata][s3][key]}" } } }
output {
  file { path => "%(folder)s/all" codec => line { format => "%%{n} %%{key}" } }
  if [n] > 2 { file { path => "%(folder)s/large" codec => line { format => "%%{n}" } } }
}
"""


def test_an_input_s3_passes_filters_into_each_output_once(aws, tmp_path, unique_name):
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=unique_name)
    for key, numbers in (("a/1", (1, 2)), ("a/2", (3,)), ("b/1", (4,))):
        body = "".join(f'{{"n": {n}}}\n' for n in numbers)
        s3.put_object(Bucket=unique_name, Key=key, Body=body.encode())
    conf = tmp_path / "s3.conf"
    conf.write_text(OBJECTS % {"name": unique_name, "region": REGION, "folder": tmp_path})
    command = [sys.executable, "-P", "-m", "penstock", "logstash", "-f", str(conf)]
    environment = {**os.environ, **CREDENTIALS, "AWS_ENDPOINT_URL": aws.endpoint_url}
    for _ in range(2):
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=240
        )
        assert done.returncode == 0, done.stderr
        assert sorted((tmp_path / "all").read_text().splitlines()) == ["2 a/1", "3 a/2"], "and never again"
        assert (tmp_path / "large").read_text() == "3\n"
