"""A headless Chromium, driven through chromedriver by the W3C protocol: no more than the tests of our page need.

Debian's packages chromium and chromium-driver; where they are missing a test is skipped, unless `CI` is set: there it fails.
Every browser has a profile of its own, and is told to talk to nobody by itself.
"""

import base64
import contextlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import urllib3

from local.processes import Process
from local.servers.elasticsearch_server import free_port
from tests.tools.machine.waiting import wait_until

STRANGER = "evil.test"
"""A name that leads to this machine, as a web site's own name may."""

FLAGS = (
    f"--host-resolver-rules=MAP {STRANGER} 127.0.0.1",
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-dev-shm-usage",
    "--no-default-browser-check",
    "--disable-features=OptimizationHints,Translate",
    "--window-size=1280,900",
)


class Browser:
    """One session of a chromedriver."""

    def __init__(self, url: str, profile: Path) -> None:
        self._http = urllib3.PoolManager(timeout=60.0, retries=False)
        self._url = url
        capabilities = {
            "browserName": "chrome",
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
            "goog:chromeOptions": {
                "args": [*FLAGS, f"--user-data-dir={profile}"],
                "binary": shutil.which("chromium"),
            },
        }
        made = self._call("POST", "/session", {"capabilities": {"alwaysMatch": capabilities}})
        self._session = f"/session/{made['sessionId']}"

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        reply = self._http.request(
            method, self._url + path, body=None if body is None else json.dumps(body),
            headers={"Content-Type": "application/json"},
        )  # fmt: skip
        value = json.loads(reply.data)["value"]
        assert reply.status == 200, value
        return value

    def _devtools(self, command: str, **parameters: Any) -> Any:
        return self._call("POST", f"{self._session}/goog/cdp/execute", {"cmd": command, "params": parameters})

    def open(self, url: str) -> None:
        self._call("POST", f"{self._session}/url", {"url": url})

    def run(self, script: str) -> Any:
        """What the body of a function returns in the page."""
        return self._call("POST", f"{self._session}/execute/sync", {"script": script, "args": []})

    def wait(self, script: str) -> Any:
        """The first true value of an expression."""
        return wait_until(lambda: self.run(f"return {script}"), script)

    def resize(self, width: int, height: int, *, phone: bool = False) -> None:
        self._devtools(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=2 if phone else 1, mobile=phone,
        )  # fmt: skip

    def scheme(self, name: str) -> None:
        """`light` or `dark`, as the person's system would say."""
        feature = {"name": "prefers-color-scheme", "value": name}
        self._devtools("Emulation.setEmulatedMedia", features=[feature])

    def screenshot(self, path: Path, *, whole: bool = True) -> None:
        taken = self._devtools("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(taken["data"]))

    def console(self) -> list[str]:
        """What the page complained of since the last call: errors of scripts, refused loads, broken policies."""
        entries = self._call("POST", f"{self._session}/se/log", {"type": "browser"})
        return [f"{entry['level']}: {entry['message']}" for entry in entries]

    def origins(self) -> set[str]:
        """Where the page has sent requests to since the last call (not `data:`)."""
        found = set()
        for entry in self._call("POST", f"{self._session}/se/log", {"type": "performance"}):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                parts = urlsplit(message["params"]["request"]["url"])
                if parts.scheme not in ("data", "chrome", "about"):
                    found.add(f"{parts.scheme}://{parts.netloc}")
        return found

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self._call("DELETE", self._session)
        self._http.clear()


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """A browser with an empty profile; closed, and its files gone, at the end."""
    lacking = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    if lacking:
        why = f"no {' and no '.join(lacking)} on the PATH (Debian: apt-get install chromium chromium-driver)"
        pytest.fail(why) if os.environ.get("CI") else pytest.skip(why)
    with tempfile.TemporaryDirectory(prefix="penstock-browser-", ignore_cleanup_errors=True) as name:
        folder, port = Path(name), free_port()
        driver = Process("chromedriver", ["chromedriver", f"--port={port}"], folder / "driver.log")
        browser = None
        try:
            _wait_for(f"http://127.0.0.1:{port}/status", driver)
            browser = Browser(f"http://127.0.0.1:{port}", folder / "profile")
            yield browser
        finally:
            if browser is not None:
                browser.close()
            driver.stop(5.0)


def _wait_for(url: str, driver: Process) -> None:
    until = time.monotonic() + 60
    while True:
        with contextlib.suppress(urllib3.exceptions.HTTPError):
            if urllib3.request("GET", url, timeout=2.0, retries=False).status == 200:
                return
        driver.check()
        assert time.monotonic() < until, driver.last_words()
        time.sleep(0.1)
