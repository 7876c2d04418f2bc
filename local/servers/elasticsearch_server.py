"""`elasticsearch_server` runs a real Elasticsearch: one node on 127.0.0.1, with all its files in one folder.

It starts without Elasticsearch's shell scripts: the launcher's jar, an environment and three configuration
files are all it takes. As root it becomes another user (Elasticsearch refuses root), who must be able to
reach both folders. `kill` ends it as a power cut would; `start` brings it back with its data.
"""

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from elasticsearch import ApiError, Elasticsearch, TransportError

from local.processes import LocalError, Process, as_user
from local.servers.cache import SERVER_USER
from local.servers.java import QUICK

__all__ = ["ElasticsearchServer", "answers", "free_port"]

START_TIMEOUT_S = 300.0
HEAP = "512m"

_LOG4J = """\
status = error
appender.file.type = RollingFile
appender.file.name = file
appender.file.fileName = ${sys:es.logs.base_path}/server.log
appender.file.filePattern = ${sys:es.logs.base_path}/server-%i.log
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = [%d{ISO8601}][%-5p][%-25c{1.}] %marker%m%n
appender.file.policies.type = Policies
appender.file.policies.size.type = SizeBasedTriggeringPolicy
appender.file.policies.size.size = 20MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 2
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%-25c{1.}] %marker%m%n
appender.console.filter.threshold.type = ThresholdFilter
appender.console.filter.threshold.level = warn
rootLogger.level = info
rootLogger.appenderRef.file.ref = file
rootLogger.appenderRef.console.ref = console
"""


def free_port(preferred: int | None = None) -> int:
    """A port on 127.0.0.1 that nobody uses now: the preferred one if it is free."""
    for port in (preferred, 0) if preferred else (0,):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    message = "no free port on 127.0.0.1."
    raise LocalError(message)


def answers(url: str, timeout_s: float = 2.0) -> bool:
    """Whether an Elasticsearch answers there, be it with a request for credentials."""
    try:
        urllib.request.urlopen(url, timeout=timeout_s).close()
    except urllib.error.HTTPError as error:
        # 405: the small integration-test distribution of 8.x has no handler for the root.
        return error.code in (401, 405)
    except (OSError, ValueError):
        return False
    return True


class ElasticsearchServer:
    """One node. Nothing runs until `start`.

    Args:
        home: the unpacked Elasticsearch.
        java_home: a JDK for it.
        folder: for everything this node writes; made anew, reachable by `SERVER_USER`.
        settings: further settings, as in elasticsearch.yml.
        password: of the user `elastic`; switches security on (users, roles, API keys; no TLS).
        port: of its HTTP, else a free one.
        heap: of its Java machine.
    """

    product = "Elasticsearch"
    user = "elastic"

    def __init__(
        self,
        home: Path,
        java_home: Path,
        folder: Path,
        *,
        settings: Mapping[str, Any] | None = None,
        password: str | None = None,
        port: int | None = None,
        heap: str = HEAP,
    ) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.password = password
        self.process: Process | None = None
        self._home = home
        self._java = java_home / "bin" / "java"
        self._folder = folder
        self._heap = heap
        self._settings: dict[str, Any] = {
            "cluster.name": "penstock-local",
            "node.name": "local",
            "discovery.type": "single-node",
            "path.data": str(folder / "data"),
            "path.logs": str(folder / "logs"),
            "http.host": "127.0.0.1",
            "http.port": self.port,
            "transport.host": "127.0.0.1",
            "transport.port": "9300-9700",
            "xpack.security.enabled": password is not None,
            # A disk that is 90 % full is no reason to make a test's index read-only.
            "cluster.routing.allocation.disk.threshold_enabled": False,
            **(settings or {}),
        }

    def start(
        self, waiting: Callable[[], None] = lambda: None, *, wait: bool = True
    ) -> "ElasticsearchServer":
        """Starts it (again), and returns when it answers; `waiting` is called meanwhile.

        Raises:
            LocalError: it ended, or does not answer within five minutes; with its last words.
        """
        self._write_files()
        self.process = Process(
            self.product,
            self._command(),
            self._folder / "console.log",
            environment=self._environment(),
            cwd=self._home,
            user=SERVER_USER,
        )
        if wait:
            self.wait_ready(waiting)
        return self

    def wait_ready(self, waiting: Callable[[], None] = lambda: None) -> None:
        """Returns when it answers; errors as in `start`."""
        assert self.process is not None
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._serves():
            self.process.check()
            if time.monotonic() > deadline:
                message = f"{self.product} does not answer at {self.url} within {START_TIMEOUT_S:g} s."
                raise LocalError(message + self.process.last_words())
            waiting()
            time.sleep(0.1)

    def _serves(self) -> bool:
        # With security on, it says 401 for a while after a restart, even to the right password.
        if self.password is None:
            return answers(self.url)
        try:
            self.client(request_timeout=5, max_retries=0).info()
        except (ApiError, TransportError):
            return False
        return True

    def stop(self) -> None:
        """A clean end; the data stay."""
        if self.process is not None:
            self.process.stop(timeout_s=30)
            self.process.kill()

    def kill(self) -> None:
        """SIGKILL, launcher and server, as the power cut does; the data stay as they are."""
        if self.process is not None:
            self.process.kill()

    def client(self, **options: Any) -> Any:
        """An `elasticsearch.Elasticsearch` for it."""
        if self.password is not None and "api_key" not in options:
            options.setdefault("basic_auth", (self.user, self.password))
        return Elasticsearch(self.url, **options)

    def _command(self) -> list[str]:
        return [
            str(self._java),
            *("-Xms4m", "-Xmx64m", "-XX:+UseSerialGC", *QUICK),
            *("-cp", f"{self._home}/lib/tools/server-launcher/*"),
            "org.elasticsearch.server.launcher.ServerLauncher",
        ]

    def _environment(self) -> dict[str, str]:
        return {
            "ES_HOME": str(self._home),
            "ES_PATH_CONF": str(self._folder / "config"),
            "ES_TMPDIR": str(self._folder / "tmp"),
            "ES_DISTRIBUTION_TYPE": "zip",
            "ES_JAVA_OPTS": "",
            # Of what the launcher starts before the node.
            "CLI_JAVA_OPTS": " ".join(("-XX:+UseSerialGC", *QUICK)),
            "JAVA": str(self._java),
            "JAVA_TYPE": "ES_JAVA_HOME",
            "ES_JAVA_HOME": str(self._java.parent.parent),
            "HOSTNAME": socket.gethostname(),
        }

    def _write_files(self) -> None:
        config = self._folder / "config"
        for name in ("config", "data", "logs", "tmp"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        # JSON is YAML, and needs no quoting rules of ours.
        lines = [f"{name}: {json.dumps(value)}" for name, value in self._settings.items()]
        (config / "elasticsearch.yml").write_text("\n".join(lines) + "\n")
        # It interprets much at its start: what is compiled earlier saves 2 CPU-s of 14.
        options = (
            *(f"-Xms{self._heap}", f"-Xmx{self._heap}", "-XX:+UseG1GC", *QUICK, "-XX:-AlwaysPreTouch"),
            "-XX:CompileThresholdScaling=0.3",
            *("-XX:+ExitOnOutOfMemoryError", f"-Djava.io.tmpdir={self._folder / 'tmp'}"),
            "--add-modules=jdk.incubator.vector",
        )
        (config / "jvm.options").write_text("".join(f"{each}\n" for each in options))
        (config / "log4j2.properties").write_text(_LOG4J)
        if SERVER_USER is not None:
            for path in (self._folder, *self._folder.rglob("*")):
                shutil.chown(path, user=SERVER_USER)
        if self.password is not None and not (config / "elasticsearch.keystore").exists():
            # By force it is made on the way.
            self._keystore("add", "-f", "-x", "bootstrap.password", given=self.password + "\n")

    def _keystore(self, *arguments: str, given: str = "") -> None:
        command = [
            *(str(self._java), "-XX:+UseSerialGC", *QUICK),
            *("-Dcli.name=keystore", "-Dcli.libs=lib/tools/keystore-cli", f"-Des.path.home={self._home}"),
            *(f"-Des.path.conf={self._folder / 'config'}", "-Des.distribution.type=zip"),
            *("-cp", f"{self._home}/lib/*:{self._home}/lib/cli-launcher/*"),
            *("org.elasticsearch.launcher.CliToolLauncher", *arguments),
        ]
        done = subprocess.run(
            as_user(SERVER_USER, command),
            input=given.encode(),
            capture_output=True,
            env={**os.environ, **self._environment()},
            cwd=self._home,
            check=False,
        )
        if done.returncode:
            message = f"Elasticsearch's keystore tool failed: {done.stderr.decode(errors='replace')[-500:]}"
            raise LocalError(message)
