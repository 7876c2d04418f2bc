"""The sink on an OpenSearch with its security plugin: TLS, users, and a denial that says which role to paste."""

import json
import re
import threading

import pytest

from local.demo.jobs import kinesis_to_elasticsearch
from penstock.io.dead_letters.stores import ElasticsearchStore
from penstock.io.elasticsearch import ElasticsearchOptions
from penstock.io.elasticsearch.cluster._roles import as_opensearch, needed_role
from penstock.io.elasticsearch.cluster.preflight import require_cluster, trials
from penstock.io.elasticsearch.writer import BulkWriter
from penstock.io.errors import AccessDenied
from penstock.io.preflight.trials import Mark, try_all
from penstock.pipelines.__main__ import main
from penstock.transforms.batch import DeadLetter
from tests.tools.jobs.status_page import page_of, status
from tests.tools.machine.waiting import wait_until
from tests.tools.samples.events import event
from tests.tools.search.secure import secure_opensearch

pytestmark = pytest.mark.xdist_group("search")


@pytest.fixture(scope="module")
def secure(tmp_path_factory):
    with secure_opensearch(tmp_path_factory.mktemp("secure")) as server:
        yield server


def _options(secure, user, password="long-0-Enough-word", **given):
    return ElasticsearchOptions(
        hosts=[secure.url],
        ssl_certificate_authorities=str(secure.authority),
        user=user,
        password=password,
        **{"index": "app-%{+YYYY.MM.dd}", "retry_initial_interval": 0.2, **given},
    )


def _write(options, count=3):
    events = [event(b'{"n":%d,"new%d":"text"}' % (number, number), number) for number in range(count)]
    for number, each in enumerate(events):
        each.id = f"i{number}"
    writer = BulkWriter(options, threading.Event())
    try:
        return writer.write(events)
    finally:
        writer.close()


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"action": "index"},
        {"action": "update", "doc_as_upsert": True},
        {"action": "%{verb}"},
        {"index": "plain"},
        {"manage_template": True, "template_name": "app", "sniffing": True},
    ],
    ids=str,
)
def test_the_least_role_is_enough(secure, unique_name, given):
    options = _options(secure, unique_name, **given)
    secure.user(unique_name, "long-0-Enough-word", as_opensearch(needed_role(options)))
    assert require_cluster(options) == "2.19.1"
    events = [event(b'{"n":%d,"verb":"index","%s":1}' % (n, unique_name.encode()), n) for n in range(3)]
    for number, each in enumerate(events):
        each.id = f"{unique_name}-{number}"
    writer = BulkWriter(options, threading.Event())
    report = writer.write(events)
    writer.close()
    assert (report.written, report.letters) == (3, [])


def test_whoever_is_not_let_in_reads_why(secure):
    for user, password, told in (
        (None, None, r"asks who we are \(401\)"),
        ("nobody", "wrong-password", r"\(401\). Check --user and --password"),
    ):
        for doing in (require_cluster, _write):
            with pytest.raises(AccessDenied, match=rf"the server at https://127.*{told}"):
                doing(_options(secure, user, password))


def test_a_denial_names_the_role_and_that_role_lets_in(secure, unique_name):
    options = _options(secure, unique_name, index="denied")
    secure.user(unique_name, "long-0-Enough-word", None)
    assert require_cluster(options) == "", "it may not even look"
    found = {trial.name: finding for trial, finding in try_all(trials(options))}
    assert found["Elasticsearch"].text.startswith("OpenSearch answers at https://127.0.0.1")
    privileges = found["Elasticsearch privileges"]
    assert privileges.mark is Mark.NOT_TRIED
    assert f"{unique_name} has the roles own_index" in privileges.text
    assert "403: needs cluster:monitor/health, which the job itself" in found["Elasticsearch health"].text
    installing = try_all(trials(_options(secure, unique_name, manage_template=True)))
    template = {trial.name: finding for trial, finding in installing}["index template"]
    assert template.mark is Mark.FAILED
    assert "(403): no permissions for [indices:admin/index_template/get]" in template.text
    assert "PUT _plugins/_security/api/roles/penstock" in template.text
    with pytest.raises(AccessDenied) as denied:
        _write(options)
    told = str(denied.value)
    assert (
        f"OpenSearch at {secure.url} denies it to {unique_name} (403): no permissions for [indices:admin/create]"
        in told
    )
    assert "long-0-Enough-word" not in told
    role, mapping = re.findall(r"PUT (?:_plugins/\S+) (\{.*?\}\]?\}|\{.*?\}) ", told + " ")
    for place, body in (("roles", role), ("rolesmapping", mapping)):
        assert f"PUT _plugins/_security/api/{place}/penstock {body}" in told
        secure.api("PUT", f"/_plugins/_security/api/{place}/penstock", json.loads(body))
    assert _write(options).written == 3


def test_the_role_that_check_prints_lets_the_job_in(secure, unique_name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PENSTOCK_PASSWORD", "long-0-Enough-word")
    options = _options(
        secure, unique_name, index=f"{unique_name}-%{{+YYYY.MM.dd}}", blocked_index_timeout=0.3
    )
    secure.user(unique_name, "long-0-Enough-word", None)
    assert _write(options).written == 0
    arguments = (
        *("--kinesis_stream_name", "orders", "--application_name", "app", "--hosts", secure.url),
        *(
            "--ssl_certificate_authorities",
            str(secure.authority),
            "--user",
            unique_name,
            "--index",
            options.index,
        ),
    )
    capsys.readouterr()
    assert main(["check", "kinesis-to-elasticsearch", *arguments, "--role"]) == 0
    out, error = capsys.readouterr()
    assert "_plugins/_security/api/roles/NAME" in error
    secure.user(unique_name, "long-0-Enough-word", json.loads(out))
    assert _write(options).written == 3


def test_whoever_may_not_read_letters_gets_the_role_to_read_them(secure, unique_name):
    index = f"letters-{unique_name}"
    options = _options(secure, unique_name)
    letters = ElasticsearchStore(index, options, threading.Event())
    secure.user(unique_name, "long-0-Enough-word", as_opensearch(needed_role(letters._options)))
    one = DeadLetter(event(b"{", 1), "JSONDecodeError", "no JSON", "decode")
    letters.append([one])
    secure.api("POST", f"/{index}/_refresh")
    with pytest.raises(AccessDenied, match="PUT _plugins/_security/api/roles/penstock-letters ") as denied:
        list(letters.read())
    role = re.search(r"roles/penstock-letters (\{.*?\}\]\}) and", str(denied.value))[1]
    secure.api("PUT", f"/_plugins/_security/api/roles/{unique_name}-read", json.loads(role))
    mapping = {"users": [unique_name]}
    secure.api("PUT", f"/_plugins/_security/api/rolesmapping/{unique_name}-read", mapping)
    assert len(list(letters.read())) == 1
    letters.close()


def test_a_jobs_status_page_has_the_role_to_paste_and_the_job_goes_on_with_it(
    secure, aws, unique_name, tmp_path, monkeypatch
):
    monkeypatch.setenv("PENSTOCK_PASSWORD", "long-0-Enough-word")
    options = _options(secure, unique_name, index=f"{unique_name}-%{{+YYYY.MM.dd}}")
    secure.user(unique_name, "long-0-Enough-word", None)
    aws.create_stream(unique_name, 1)
    for number in range(5):
        data = b'{"n":%d}' % number
        aws.client("kinesis").put_record(StreamName=unique_name, Data=data, PartitionKey="a")
    further = (
        *("--user", unique_name, "--ssl_certificate_authorities", str(secure.authority)),
        *("--status_port", "0", "--retry_initial_interval", "0.2", "--retry_max_interval", "1"),
    )
    job = kinesis_to_elasticsearch(
        tmp_path,
        aws.endpoint_url,
        secure.url,
        options.index,
        *further,
        stream=unique_name,
        application=unique_name,
    )
    try:
        page = page_of(job.wait_ready())
        role = 'PUT _plugins/_security/api/roles/penstock {"cluster_permissions"'
        wait_until(lambda: role in json.dumps(status(page)).replace('\\"', '"'), "the denial on the page")
        secure.user(unique_name, "long-0-Enough-word", as_opensearch(needed_role(options)))
        wait_until(lambda: status(page)["totals"]["out"] == 5, "the documents")
        job.finish()
        assert secure.api.count(f"{unique_name}-*") == 5
    finally:
        job.kill()


def test_a_daily_index_that_is_denied_costs_its_events_and_the_log_has_the_role(secure, unique_name, caplog):
    options = _options(secure, unique_name, blocked_index_timeout=0.3, index="closed-%{+YYYY.MM.dd}")
    other = needed_role(_options(secure, unique_name, index="else"))
    secure.user(unique_name, "long-0-Enough-word", as_opensearch(other))
    report = _write(options)
    assert {(letter.error, letter.status) for letter in report.letters} == {("security_exception", 403)}
    assert 'PUT _plugins/_security/api/roles/penstock {"cluster_permissions"' in caplog.text
