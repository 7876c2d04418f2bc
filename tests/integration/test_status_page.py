"""The status page of real jobs in a real browser: true numbers that move, both themes, a phone, nothing from elsewhere.

`PENSTOCK_SCREENSHOTS=folder` keeps what the browser showed.
"""

import json
import os
import re
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from local.beats_client import Shipper
from tests.tools import grafana
from tests.tools.browser import chromium
from tests.tools.pipeline import log_file, wait_until

pytestmark = pytest.mark.servers

EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def browser():
    with chromium() as made:
        yield made


@pytest.fixture
def keep(tmp_path):
    folder = Path(os.environ.get("PENSTOCK_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def page_of(job):
    """Where a job said that its status page is."""
    found = wait_until(lambda: re.search(r"status page: (\S+)", job.log.read_text()), "the status page")
    return found[1]


def text(url):
    with urllib.request.urlopen(url, timeout=10) as reply:
        return reply.read().decode()


def status(page):
    return json.loads(text(f"{page}status.json"))


def ship(pipeline, name, lines, rate, window=50):
    file = log_file(pipeline.folder / f"{name}.log", lines)
    shipper = Shipper("127.0.0.1", pipeline.port, [file.path], rate=rate, window=window, backoff_s=(0.1, 0.2))
    threading.Thread(target=shipper.run, daemon=True).start()
    return shipper


def number(browser, selector):
    """The number that stands there, as a person reads it."""
    return float(browser.run(f"return document.querySelector({selector!r}).textContent").replace(",", ""))


def check_layout(browser, keep, name):
    """Both themes, wide and on a phone: nothing scrolls sideways, and the themes differ."""
    grounds = []
    for scheme in ("light", "dark"):
        browser.scheme(scheme)
        for width, height, phone in ((1280, 900, False), (390, 844, True)):
            browser.resize(width, height, phone=phone)
            time.sleep(0.3)
            wide = browser.run("return [document.documentElement.scrollWidth, innerWidth]")
            browser.screenshot(keep / f"{name}-{scheme}-{width}.png")
            assert wide[0] <= wide[1], (scheme, width)
        grounds.append(browser.run("return getComputedStyle(document.documentElement).backgroundColor"))
    assert grounds[0] != grounds[1]
    browser.scheme("light")
    browser.resize(1280, 900)


def test_the_page_of_both_jobs_while_they_run(pipeline, browser, keep):
    pipeline.client.indices.create(
        index=f"{pipeline.name}-2026.11.01", mappings={"properties": {EVIL: {"type": "integer"}}}
    )
    beats = pipeline.start_beats("--status_port", "0")
    kinesis = pipeline.start_kinesis("--status_port", "0")
    shippers = [ship(pipeline, f"{rate}", 40_000, rate) for rate in (400, 150, 30)]
    writer = pipeline.aws.client("kinesis")
    event = {"@timestamp": "2026-11-01T10:00:00Z", EVIL: "no number"}
    for data in (b"not json", json.dumps(event).encode(), b"\xff\xfe"):
        writer.put_record(StreamName=pipeline.name, Data=data, PartitionKey="k")

    page = page_of(beats)
    browser.open(page)
    browser.console()
    browser.origins()
    browser.wait("document.querySelector('#state').textContent == 'Keeping up'")
    browser.wait("parseInt(document.querySelector('.figures .big').textContent) > 100")
    browser.wait("document.querySelectorAll('#charts path.one').length >= 3", 30)
    assert browser.run("return document.querySelector('h1').textContent") == "beats-to-kinesis"
    steps = browser.run("return [...document.querySelectorAll('.flow h3')].map((each) => each.textContent)")
    assert steps == ["ReadFromBeats", "WriteToKinesis", "WriteDeadLetters", "Acknowledge"]
    wait_until(
        lambda: browser.run("return document.querySelectorAll('#tables tbody')[0].children.length") == 3,
        "3 clients",
    )
    # What it shows is what was acknowledged, and it moves.
    shown = [status(page)["totals"]["out"]]
    before = sum(shipper.counts.acknowledged for shipper in shippers)
    wait_until(lambda: status(page)["totals"]["out"] >= before, "the acknowledged events")
    time.sleep(3)
    shown.append(status(page)["totals"]["out"])
    assert shown[1] >= shown[0] + 500
    assert sum(shipper.counts.shipped for shipper in shippers) >= shown[1] - 1000
    check_layout(browser, keep, "beats")

    assert browser.console() == []
    assert browser.origins() == {page.rstrip("/")}

    page = page_of(kinesis)
    browser.open(page)
    browser.wait("document.querySelectorAll('#tables tbody')[0].children.length == 2", 30)
    browser.wait("document.querySelector('#state').textContent == 'Keeping up'")
    browser.wait("document.querySelectorAll('#charts path.one').length >= 4", 30)
    browser.wait("document.body.textContent.includes('Bulk to Elasticsearch')")
    letters = wait_until(
        lambda: len(found := status(page)["dead_letters"]["last"]) >= 3 and found, "dead letters"
    )
    assert any(EVIL in letter["reason"] for letter in letters)
    assert "no number" not in json.dumps(letters), "a payload on the page"
    browser.wait(f"document.body.textContent.includes({EVIL!r})")
    assert browser.run("return document.querySelectorAll('img').length") == 0
    check_layout(browser, keep, "kinesis")
    assert browser.console() == []
    assert browser.origins() == {page.rstrip("/")}

    # The dashboard's metrics are what the jobs give, and hold numbers.
    answers = "".join(text(f"{page_of(job)}metrics") for job in (beats, kinesis))
    wanted = {name for expression in grafana.expressions() for name in grafana.metrics_in(expression)}
    assert wanted <= set(grafana.types_in(answers))
    without = {
        name for name in wanted if not re.search(rf"^{name}(?:_bucket)?(?:{{.*}})? \d", answers, re.MULTILINE)
    }
    assert without <= {"penstock_retries_total"}, "nothing had to be tried again"

    for shipper in shippers:
        shipper.stop()
    kinesis.finish()
    browser.wait("document.querySelector('#state').textContent == 'No answer'", 30)
    browser.screenshot(keep / "gone.png")
    beats.finish()
    for job in (beats, kinesis):
        assert "Traceback" not in job.log.read_text()


def test_the_page_of_an_idle_job(pipeline, browser, keep):
    job = pipeline.start_beats("--status_port", "0")
    browser.open(page_of(job))
    browser.wait("document.querySelector('#state').textContent == 'Keeping up'")
    browser.console()
    check_layout(browser, keep, "idle")
    text = browser.run("return document.body.textContent")
    assert "No client is connected" in text
    assert "Every event so far was taken" in text
    assert "NaN" not in text
    assert "undefined" not in text
    assert browser.console() == []
    job.finish()
