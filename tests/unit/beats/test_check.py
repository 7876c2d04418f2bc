"""The Beats source looks at its port, its certificate files and their dates before it starts."""

import datetime
import socket
import sys

import pytest
from cryptography import x509

from penstock.io.beats import BeatsOptions, trials
from penstock.io.beats.preflight import require_listenable
from penstock.io.beats.transport._certificate import validity
from penstock.io.errors import OptionError
from penstock.io.preflight.trials import Mark, try_all
from tests.tools.samples.certificates import Authority

DAY = datetime.timedelta(days=1)


@pytest.fixture
def files(tmp_path):
    certificate, key = Authority(tmp_path).issue("server")
    return {"ssl_enabled": True, "ssl_certificate": str(certificate), "ssl_key": str(key)}


def found(options, **given):
    return {trial.name: finding for trial, finding in try_all(trials(options, **given))}


def test_dates_are_those_that_another_parser_reads(tmp_path):
    authority = Authority(tmp_path)
    certificate, _ = authority.issue("server", pkcs1=True)
    chain = certificate.read_bytes() + authority.certificate.read_bytes()
    expected = [
        (each.not_valid_before_utc, each.not_valid_after_utc)
        for each in x509.load_pem_x509_certificates(chain)
    ]
    assert validity(chain) == expected
    assert len(expected) == 2


@pytest.mark.parametrize("cut", [10, 40, 100, 200])
def test_a_damaged_certificate_is_a_value_error(tmp_path, cut):
    certificate, _ = Authority(tmp_path).issue("server")
    lines = certificate.read_text().splitlines()
    body = "".join(lines[1:-1])[: cut // 4 * 4]
    with pytest.raises(ValueError, match="certificate"):
        validity(f"{lines[0]}\n{body}\n{lines[-1]}\n".encode())


@pytest.mark.parametrize("year", [1960, 1999, 2030, 2049, 2050, 2200])
def test_years_in_both_forms(year, tmp_path):
    """UTCTime has two digits until 2049, GeneralizedTime four."""
    moment = datetime.datetime(year, 3, 4, 5, 6, 7, tzinfo=datetime.UTC)
    certificate, _ = Authority(tmp_path).issue("server", until=moment)
    assert validity(certificate.read_bytes())[0][1] == moment


@pytest.mark.parametrize(
    ("left", "passed", "mark", "words"),
    [
        (40.5, 0, Mark.OK, "(40 days)"),
        (20.5, 0, Mark.WARNING, "20 days. Renew it"),
        (0.5, 0, Mark.WARNING, "0 days. Renew it"),
        (40, 41, Mark.FAILED, "expired on"),
        (40, -400, Mark.FAILED, "not valid before"),
    ],
)
def test_a_certificates_dates(tmp_path, left, passed, mark, words):
    now = datetime.datetime.now(datetime.UTC)
    certificate, key = Authority(tmp_path).issue("server", until=now + left * DAY)
    options = BeatsOptions(port=0, ssl_enabled=True, ssl_certificate=str(certificate), ssl_key=str(key))
    finding = found(options, now=lambda: now + passed * DAY)["Beats certificate"]
    assert finding.mark is mark
    assert words in finding.text
    assert str(certificate) in finding.text


def test_a_certificate_that_is_over_lets_a_job_start_with_a_warning(files, tmp_path, caplog):
    past = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    certificate, key = Authority(tmp_path, "old").issue("old", until=past)
    options = BeatsOptions(port=0, ssl_enabled=True, ssl_certificate=str(certificate), ssl_key=str(key))
    require_listenable(options)
    assert f"{certificate}: expired on 2020-01-01 00:00 UTC; Beats refuse it. Renew it." in caplog.text


def test_a_key_of_another_certificate_is_the_one_failure(files, tmp_path):
    _, other = Authority(tmp_path, "other").issue("other")
    told = found(BeatsOptions(port=0, **{**files, "ssl_key": str(other)}))
    assert told["Beats TLS files"].mark is Mark.FAILED
    assert "is not the key of the certificate" in told["Beats TLS files"].text
    assert told["Beats certificate"].mark is Mark.NOT_TRIED
    assert told["Beats port"].mark is Mark.OK


def test_a_port_that_is_taken(monkeypatch):
    monkeypatch.setattr(sys.modules["penstock.io.beats.preflight"], "PORT_PATIENCE_S", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        options = BeatsOptions(port=taken.getsockname()[1])
        assert found(options)["Beats port"].mark is Mark.FAILED
        with pytest.raises(OptionError, match="is taken"):
            require_listenable(options)
    assert found(options)["Beats port"].text.endswith("is free; without TLS")
