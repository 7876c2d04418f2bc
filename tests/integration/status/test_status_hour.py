"""The status page of a made-up hour in a real browser: its charts, its workers, trouble, and the README's pictures.

`PENSTOCK_SCREENSHOTS=folder` keeps what the browser showed; `PENSTOCK_PICTURES=docs/_static` takes the README's anew.
"""

import os
import re
import struct
from pathlib import Path

import pytest

from tests.tools.machine.status_look import TWO_FRAMES, check_layout, made_up_job

pytestmark = [pytest.mark.servers, pytest.mark.xdist_group("browser")]


def lines_of_an_hour(browser):
    """Each chart is an unbroken, solid line with no more points than the screen can show, and keeps a stall."""
    browser.wait("document.querySelector('#charts path.one').getAttribute('d').split('L').length > 100")
    lines = browser.run(
        "return [...document.querySelectorAll('#charts path.one, #charts path.two')].map((line) => "
        "[line.getAttribute('d'), getComputedStyle(line).strokeDasharray, line.ownerSVGElement.clientWidth])"
    )
    for line, dashes, width in lines:
        assert dashes == "none"
        assert line.count("L") <= width / 2 + 1
    out = browser.run("return document.querySelector('#charts path.two').getAttribute('d')")
    heights = [float(point.split()[1]) for point in out[1:].split("L")]
    assert max(heights) - min(heights) > 80, "the minutes without any event out"


@pytest.mark.parametrize("kind", ["kinesis", "beats"])
def test_the_page_of_a_job_in_trouble(browser, keep, kind):
    """Many shards or clients, long names, a sink that refuses."""
    with made_up_job(kind) as page:
        browser.open(page)
        browser.console()
        browser.wait("document.querySelector('#state').textContent == 'Not keeping up'")
        assert "93 s behind" in browser.run("return document.querySelector('#notices').textContent")
        rows = browser.run("return document.querySelectorAll('#tables tbody')[0]?.children.length")
        assert rows == {"kinesis": 24, "beats": 60}[kind]
        lines_of_an_hour(browser)
        if kind == "kinesis":
            shown = browser.run("return document.querySelector('#tables tbody').innerText")
            assert "kept for 24 h more" in shown
            assert "sequence number …989136588898, record 2" in shown
            assert not re.search(r"\d:\d", shown), "no checkpoint may look like a time of day"
        check_layout(browser, keep, f"trouble-{kind}")
        names = browser.run("return [...document.querySelectorAll('svg.plot')].map((each) => each.ariaLabel)")
        assert all("now" in name for name in names)
        assert browser.console() == []


@pytest.mark.parametrize(("shards", "workers"), [(1, 1), (100, 8)])
def test_workers_stand_side_by_side(browser, keep, shards, workers):
    with made_up_job("well", shards, workers) as page:
        browser.open(page)
        browser.console()
        browser.wait(f"document.querySelectorAll('#worker-list > li').length == {workers}")
        tops = browser.run(
            "return [...document.querySelectorAll('#worker-list > li')].map((each) => each.getBoundingClientRect().top)"
        )
        assert len(set(tops)) <= max(1, workers // 3)
        if workers > 3:
            shown = browser.run("return document.querySelector('#worker-list').innerText")
            assert "▲ down" in shown
            assert "2 restarts, the last one: was killed by signal 9" in shown
        assert browser.run("return document.querySelector('#tables h2 .count').textContent.trim()") == str(
            shards
        )
        check_layout(browser, keep, f"workers-{workers}-{shards}")
        assert browser.console() == []


def test_jobs_of_one_command_stand_side_by_side(browser, keep):
    with made_up_job("two", 2, 2) as page:
        browser.open(page)
        browser.console()
        browser.wait("document.querySelectorAll('#job-list > li').length == 2")
        shown = browser.run("return document.querySelector('#job-list').innerText")
        assert "kinesis-to-elasticsearch\nkeeping up" in shown
        assert "beats-to-kinesis\n▲ starting" in shown
        browser.wait("document.querySelectorAll('#worker-list > li').length == 2")
        check_layout(browser, keep, "two-jobs")
        browser.run("document.querySelector('#job-list a').click()")
        browser.wait("document.querySelector('h1').textContent == 'beats-to-kinesis'")
        browser.wait("document.querySelector('#workers').hidden")
        browser.run("document.querySelector('#job-list a').click()")
        browser.wait("document.querySelector('h1').textContent == 'kinesis-to-elasticsearch'")
        assert browser.console() == []


FIGURES = """
const number = (text) => parseFloat(text.replaceAll(",", ""));
const workers = [...document.querySelectorAll("#worker-list > li")].map((each) => each.innerText);
const sum = (pattern) => workers.reduce((all, text) => all + number(text.match(pattern)[1]), 0);
const cards = [...document.querySelectorAll("#figures .big")].map((each) => number(each.textContent));
return {
  in: [cards[0], sum(/([\\d,.]+)\\/s in/)],
  out: [cards[1], sum(/([\\d,.]+) *events\\/s out/)],
  waiting: [cards[3], sum(/([\\d,.]+) waiting/)],
  steps: [...document.querySelectorAll("#flow .rate")].map((each) => number(each.textContent)),
};
"""


def the_workers_make_the_total(browser):
    """What the page shows at one moment; each number is rounded."""
    shown = browser.run(FIGURES)
    for name in ("in", "out", "waiting"):
        total, workers = shown[name]
        assert abs(total - workers) <= 3, shown
    assert all(abs(each - shown["in"][0]) <= 3 for each in shown["steps"]), shown


def test_the_pictures_of_the_readme(browser, tmp_path):
    """It takes them anew, and those that are there have their size."""
    kept = Path(__file__).parents[3] / "docs" / "_static"
    folder = Path(os.environ.get("PENSTOCK_PICTURES") or tmp_path)
    with made_up_job("well", 12, 4) as page:
        browser.resize(1280, 900)
        browser.open(page)
        browser.wait("document.querySelectorAll('#charts path.one').length > 4")
        browser.wait("document.querySelector('#figures').textContent.includes('delivered in')")
        browser.wait(
            "parseFloat(document.querySelector('#figures .big').textContent.replace(',', '')) > 2800"
        )
        browser.run(TWO_FRAMES)
        the_workers_make_the_total(browser)
        bottom = browser.run(
            "return Math.ceil(document.querySelector('#charts').getBoundingClientRect().bottom + scrollY)"
        )
        browser.resize(1280, bottom + 12)
        browser.run("document.documentElement.style.overflow = 'hidden'")
        for scheme in ("light", "dark"):
            browser.scheme(scheme)
            browser.run(TWO_FRAMES)
            browser.screenshot(folder / f"status-{scheme}.png", whole=False)
            sizes = [
                struct.unpack(">II", (where / f"status-{scheme}.png").read_bytes()[16:24])
                for where in (folder, kept)
            ]
            assert abs(sizes[0][0] - sizes[1][0]) < 40, "take them anew: PENSTOCK_PICTURES=docs/_static"
            assert abs(sizes[0][1] - sizes[1][1]) < 400, "take them anew: PENSTOCK_PICTURES=docs/_static"
    browser.scheme("light")
    browser.resize(1280, 900)
