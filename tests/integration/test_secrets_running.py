"""Ctrl-C at each phase, a denial while a job runs, and what holds secrets in memory: no traceback, no secret shown."""

import dataclasses
import re
import signal
import socket

import pytest

from penstock.io.beats import BeatsOptions
from penstock.io.elasticsearch import ElasticsearchOptions, WriteToElasticsearch
from penstock.io.elasticsearch.cluster.client import Client
from penstock.io.options import display_data_of, flag_of
from penstock.pipelines.configuration.making import options_from
from penstock.pipelines.jobs import JOBS, find_job
from tests.tools.jobs.planted import (
    BEATS,
    KINESIS,
    SECRETS,
    TIMEOUT_S,
    assert_no_secret,
    wait_while,
)

pytestmark = pytest.mark.servers


# -- Ctrl-C ----------------------------------------------------------------------------------------------

INTERRUPTED = (130, -signal.SIGINT)
"""Exit codes of a handled Ctrl-C; a shell shows 130 for both. Python ends by the signal itself, handled or not, where the
interrupt came within an `exec` of text, as dataclasses use it while they are made."""


def imports(process, name):
    """Whether a process has begun to import a package that has compiled parts."""

    def begun():
        with open(f"/proc/{process.pid}/maps") as file:
            return name in file.read()

    return begun


def test_ctrl_c_while_beam_is_imported(start_planted, planted):
    process = start_planted(*KINESIS, *planted.aws)
    wait_while(process, imports(process, "/numpy/"))
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode in INTERRUPTED
    assert (out, error) == ("", "penstock: interrupted\n")


@pytest.mark.parametrize("command", [(), ("check",)])
def test_ctrl_c_while_a_peer_is_asked(start_planted, command):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(TIMEOUT_S)
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        process = start_planted(*command, *KINESIS, "--endpoint_url", address, "--request_timeout", "60000")
        connection, _ = silent.accept()
        with connection:
            process.send_signal(signal.SIGINT)
            _, error = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode in INTERRUPTED
    assert error.splitlines()[-1].startswith("penstock")
    assert "interrupted" in error.splitlines()[-1]
    assert "Traceback" not in error


def test_ctrl_c_while_it_runs_is_a_clean_stop(start_planted, planted):
    process = start_planted(*BEATS, "--beats_port", planted.port, *planted.aws, "--stop_timeout", "60")
    wait_while(process, lambda: "ready:" in process.stderr.readline())
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, error
    assert "Traceback" not in error
    assert_no_secret(error)


def test_a_denial_while_it_runs_is_one_last_line(start_planted, planted):
    planted.kinesis.put("orders", b"planted? no: a payload", "key")
    process = start_planted(*KINESIS, *planted.aws, "--hosts", planted.hosts)
    planted.kinesis.faults.refuse("GetRecords", "AccessDeniedException", times=None)
    _, error = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 1, error
    last = error.splitlines()[-1]
    assert last.startswith("penstock kinesis-to-elasticsearch: ")
    assert "needs kinesis:GetRecords on " in last
    assert "Traceback" not in error
    assert_no_secret(error)


def test_a_reader_who_has_seen_enough(start_planted, planted):
    process = start_planted("check", *KINESIS, *planted.aws, "--json")
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(TIMEOUT_S) == 1
    process.stdout = None  # for whoever cleans up


# -- what holds secrets ----------------------------------------------------------------------------------


def test_no_option_shows_its_secret_nor_does_what_is_made_of_it():
    classes = set()
    for job in JOBS:
        option_classes = find_job(job).option_classes
        classes |= {*option_classes([]), *option_classes(["--to", "kinesis"])}
    secret = {
        flag_of(field)[2:]
        for cls in classes
        for field in dataclasses.fields(cls)
        if field.metadata.get("secret")
    }
    named = {name.removeprefix("PENSTOCK_").lower() for name in SECRETS if name.startswith("PENSTOCK_")}
    assert secret == named, "plant every secret that there is"
    word = re.compile("pass|secret|token|api_key|credential")
    odd = {
        flag_of(field)[2:]
        for cls in classes
        for field in dataclasses.fields(cls)
        if word.search(field.name) and not field.metadata.get("secret")
    }
    assert odd == set(), "an option that sounds secret, and isn't declared so"

    given = {name.removeprefix("PENSTOCK_").lower(): value for name, value in SECRETS.items()}
    elastic = options_from(
        ElasticsearchOptions, {"user": "elastic", "password": given["password"], "proxy": given["proxy"],
                               "custom_headers": given["custom_headers"]},
    )  # fmt: skip
    beats = BeatsOptions(
        ssl_enabled=True, ssl_certificate="x", ssl_key="y", ssl_key_passphrase=given["ssl_key_passphrase"]
    )
    client = Client(elastic)
    (node,) = client._transport.node_pool.all()
    shown = (
        elastic, beats, beats.tls_files(), client, client._transport, node, node.config, vars(client),
        display_data_of(elastic, beats), WriteToElasticsearch(elastic).display_data(),
    )  # fmt: skip
    client.close()
    assert_no_secret(*map(repr, shown), *map(str, shown))
