"""The status page of real jobs in a real browser: true numbers that move, both themes, a phone, nothing from elsewhere.

`PENSTOCK_SCREENSHOTS=folder` keeps what the browser showed.
"""

import contextlib
import functools
import http.server
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from local.demo.beats_client import Shipper
from tests.tools.jobs.pipeline import log_file
from tests.tools.jobs.status_page import page_of, status
from tests.tools.machine.browser import STRANGER, chromium
from tests.tools.machine.waiting import wait_until

pytestmark = pytest.mark.servers

# The contrast of each text with what is behind it, in the theme that is set (WCAG's formula).
CONTRASTS = """
const light = (color) => {
  const parts = color.match(/[\\d.]+/g).slice(0, 3).map((part) => part / 255);
  const [r, g, b] = parts.map((part) => part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ground = (node) => {
  for (let each = node; each; each = each.parentElement) {
    const color = getComputedStyle(each).backgroundColor;
    if (color !== "rgba(0, 0, 0, 0)") return color;
  }
  return "rgb(255, 255, 255)";
};
return [...document.querySelectorAll("body *")]
  .filter((node) => [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim()))
  .filter((node) => node.checkVisibility())
  .filter((node) => !["SCRIPT", "STYLE", "NOSCRIPT"].includes(node.tagName))
  .map((node) => {
    const style = getComputedStyle(node), text = node.namespaceURI.includes("svg") ? style.fill : style.color;
    const [a, b] = [light(text), light(ground(node))].sort((x, y) => y - x);
    return [node.className + " " + node.textContent.slice(0, 30), (a + 0.05) / (b + 0.05)];
  });
"""

TWO_FRAMES = "return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))"

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
            browser.wait(f"innerWidth == {width}")
            browser.run(TWO_FRAMES)  # in which the charts are drawn anew
            wide = browser.run("return [document.documentElement.scrollWidth, innerWidth]")
            browser.screenshot(keep / f"{name}-{scheme}-{width}.png")
            assert wide[0] <= wide[1], (scheme, width)
        contrasts = browser.run(CONTRASTS)
        assert len(contrasts) > 30
        low = [each for each in contrasts if each[1] < 4.5]
        assert not low, (scheme, low[:5])
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


@contextlib.contextmanager
def job_in_trouble(kind):
    """The page of a job that isn't there: an hour of numbers, made up, so that nobody has to wait for them."""
    program = Path(__file__).parents[2] / "tools" / "jobs" / "busy_status.py"
    with subprocess.Popen([sys.executable, "-P", program, kind], stdout=subprocess.PIPE, text=True) as job:
        try:
            yield job.stdout.readline().strip()
        finally:
            job.terminate()


@pytest.mark.parametrize("kind", ["kinesis", "beats"])
def test_the_page_of_a_job_in_trouble(browser, keep, kind):
    """Many shards or clients, long names, a sink that refuses."""
    with job_in_trouble(kind) as page:
        browser.open(page)
        browser.console()
        browser.wait("document.querySelector('#state').textContent == 'Not keeping up'")
        assert "93 s behind" in browser.run("return document.querySelector('#notices').textContent")
        rows = browser.run("return document.querySelectorAll('#tables tbody')[0]?.children.length")
        assert rows == {"kinesis": 24, "beats": 60}[kind]
        line = browser.run("return document.querySelector('#charts path.one').getAttribute('d')")
        assert line.count("L") > 700
        check_layout(browser, keep, f"trouble-{kind}")
        names = browser.run("return [...document.querySelectorAll('svg.plot')].map((each) => each.ariaLabel)")
        assert all("now" in name for name in names)
        assert browser.console() == []


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
    with job_in_trouble("kinesis") as page:
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
