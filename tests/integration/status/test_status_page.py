"""The status page of real jobs in a real browser: true numbers that move, both themes, a phone, nothing from elsewhere.

`PENSTOCK_SCREENSHOTS=folder` keeps what the browser showed.
"""

import functools
import http.server
import json
import threading
from urllib.parse import urlsplit

import pytest

from local.demo.beats_client import Shipper
from tests.tools.jobs.pipeline import log_file
from tests.tools.jobs.status_page import page_of, status
from tests.tools.machine.browser import STRANGER
from tests.tools.machine.status_look import check_layout, made_up_job
from tests.tools.machine.waiting import wait_until

pytestmark = [pytest.mark.servers, pytest.mark.xdist_group("browser")]

EVIL = "<img src=x onerror=alert(1)>"


def ship(pipeline, name, lines, rate, window=50):
    file = log_file(pipeline.folder / f"{name}.log", lines)
    shipper = Shipper("127.0.0.1", pipeline.port, [file.path], rate=rate, window=window, backoff_s=(0.1, 0.2))
    threading.Thread(target=shipper.run, daemon=True).start()
    return shipper


def number(browser, selector):
    """The number that stands there, as a person reads it."""
    return float(browser.run(f"return document.querySelector({selector!r}).textContent").replace(",", ""))


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
    browser.wait("document.querySelectorAll('#charts path.one').length >= 3")
    assert browser.run("return document.querySelector('h1').textContent") == "beats-to-kinesis"
    steps = browser.run("return [...document.querySelectorAll('.flow h3')].map((each) => each.textContent)")
    assert steps == ["ReadFromBeats", "WriteToKinesis", "WriteDeadLetters", "Acknowledge"]
    wait_until(
        lambda: browser.run("return document.querySelectorAll('#tables tbody')[0]?.children.length") == 3,
        "3 clients",
    )
    # What it shows is what was acknowledged, and it moves.
    shown = [status(page)["totals"]["out"]]
    before = sum(shipper.counts.acknowledged for shipper in shippers)
    wait_until(lambda: status(page)["totals"]["out"] >= before, "the acknowledged events")
    shown.append(
        wait_until(
            lambda: (out := status(page)["totals"]["out"]) >= shown[0] + 500 and out, "500 more of them"
        )
    )
    assert sum(shipper.counts.shipped for shipper in shippers) >= shown[1] - 1000
    check_layout(browser, keep, "beats")

    assert browser.console() == []
    assert browser.origins() == {page.rstrip("/")}

    page = page_of(kinesis)
    browser.open(page)
    browser.wait("document.querySelectorAll('#tables tbody')[0]?.children.length == 2")
    browser.wait("document.querySelector('#state').textContent == 'Keeping up'")
    browser.wait("document.querySelectorAll('#charts path.one').length >= 4")
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

    for shipper in shippers:
        shipper.stop()
    kinesis.finish()
    browser.wait("document.querySelector('#state').textContent == 'No answer'")
    browser.screenshot(keep / "gone.png")
    beats.finish()
    for job in (beats, kinesis):
        assert "Traceback" not in job.log.read_text()


@pytest.fixture
def site(tmp_path):
    """A web site on this machine; its port."""
    (tmp_path / "index.html").write_text("<!doctype html><title>a site</title><p>welcome")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_a_web_site_can_read_nothing_of_it(browser, site):
    with made_up_job("kinesis") as page:
        for origin in (f"http://{STRANGER}:{site}/", f"http://127.0.0.1:{site}/"):
            browser.open(origin)
            assert browser.run("return document.body.innerText") == "welcome"
            for path in ("status.json", "metrics", "readyz", ""):
                for mode in ("cors", "no-cors"):
                    asked = f"fetch('{page}{path}', {{mode: '{mode}'}})"
                    read = browser.run(f"return {asked}.then((reply) => reply.text()).catch(() => '')")
                    assert read == "", (origin, path, mode)
            browser.console()
            frame = "const frame = document.createElement('iframe')"
            browser.run(f"{frame}; frame.src = '{page}'; document.body.append(frame)")
            wait_until(lambda: "frame-ancestors" in str(browser.console()), "the frame to be refused")
        # The site's own name leads here: to the browser that is the site's own origin, to us it is a stranger.
        browser.open(f"http://{STRANGER}:{urlsplit(page).port}/status.json")
        told = browser.run("return document.body.innerText")
        assert "does not answer to the name" in told
        assert "shardId" not in told


def test_the_page_of_an_idle_job(pipeline, browser, keep):
    job = pipeline.start_beats("--status_port", "0")
    browser.open(page_of(job))
    browser.wait("document.querySelector('#state').textContent == 'Keeping up'")
    browser.console()
    check_layout(browser, keep, "idle")
    shown = browser.run("return document.body.innerText")
    assert "No client is connected" in shown
    assert "Every event so far was taken" in shown
    assert "NaN" not in shown
    assert "undefined" not in shown
    assert browser.console() == []
    job.finish()
