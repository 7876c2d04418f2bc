"""A look at a status page in a browser: its layout in both themes, and the page of a made-up hour."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.tools.machine.browser import Browser

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


def check_layout(browser: Browser, keep: Path, name: str) -> None:
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


@contextlib.contextmanager
def made_up_job(kind: str, *numbers: int) -> Iterator[str]:
    """The page of a job that isn't there: an hour of numbers, made up, so that nobody has to wait for them."""
    command = [sys.executable, "-P", str(Path(__file__).parents[1] / "jobs" / "busy_status.py"), kind]
    with subprocess.Popen([*command, *map(str, numbers)], stdout=subprocess.PIPE, text=True) as job:
        try:
            assert job.stdout is not None
            yield job.stdout.readline().strip()
        finally:
            job.terminate()
