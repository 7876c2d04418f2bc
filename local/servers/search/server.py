"""`server` runs one node of a search server of any kind: OpenSearch, or an older Elasticsearch.

It is started as `ElasticsearchServer` is, with two differences: these have no launcher (8.x has another one), and their
log goes to the console.
"""

import base64
import json
import shutil
import ssl
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from local.servers.cache import SERVER_USER
from local.servers.elasticsearch_server import HEAP, ElasticsearchServer, answers
from local.servers.java import QUICK
from local.servers.search.kinds import Kind

__all__ = ["Elasticsearch8", "SearchServer"]

_LOG4J = """\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%-25c{1.}] %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
"""


class Elasticsearch8(ElasticsearchServer):
    """One node of 8.x, whose launcher is another than that of 9.x."""

    def _command(self) -> list[str]:
        return [
            str(self._java),
            *("-Xms4m", "-Xmx64m", "-XX:+UseSerialGC", *QUICK),
            *("-Dcli.name=server", "-Dcli.libs=lib/tools/server-cli"),
            *(f"-Dcli.script={self._home}/bin/elasticsearch", f"-Des.path.home={self._home}"),
            *(f"-Des.path.conf={self._folder / 'config'}", "-Des.distribution.type=zip"),
            *("-cp", f"{self._home}/lib/*:{self._home}/lib/cli-launcher/*"),
            "org.elasticsearch.launcher.CliToolLauncher",
        ]


class SearchServer(ElasticsearchServer):
    """One node. Nothing runs until `start`.

    Args:
        kind: what it is.
        home: the unpacked server.
        java_home: a Java for it.
        folder: for everything this node writes; made anew, reachable by `SERVER_USER`.
        settings: further settings, as in its YAML file.
        files: further files of its configuration, by their paths below it.
        admin: user and password of a server with security, which speaks TLS then.
        port: of its HTTP, else a free one.
        heap: of its Java machine.
    """

    def __init__(
        self,
        kind: Kind,
        home: Path,
        java_home: Path,
        folder: Path,
        *,
        settings: Mapping[str, Any] | None = None,
        files: Mapping[str, bytes] = MappingProxyType({}),
        admin: tuple[str, str] | None = None,
        port: int | None = None,
        heap: str = HEAP,
    ) -> None:
        super().__init__(home, java_home, folder, settings=settings, port=port, heap=heap)
        self.kind = kind
        self.product = kind.name
        self._files = files
        self._admin = admin
        if admin is not None:
            self.url = self.url.replace("http:", "https:")
        self._old = kind.version.startswith("6.")
        if self._old:
            self._settings["transport.tcp.port"] = self._settings.pop("transport.port")
        if self._old or kind.product == "opensearch":
            del self._settings["xpack.security.enabled"]

    def _serves(self) -> bool:
        if self._admin is None:
            return answers(self.url)
        credentials = base64.b64encode(":".join(self._admin).encode()).decode()
        request = urllib.request.Request(self.url, headers={"authorization": f"Basic {credentials}"})
        try:
            urllib.request.urlopen(request, timeout=2, context=ssl._create_unverified_context()).close()
        except OSError:  # among them 503 until the plugin has read its users
            return False
        return True

    def _command(self) -> list[str]:
        prefix, main = (
            ("opensearch", "org.opensearch.bootstrap.OpenSearch")
            if self.kind.product == "opensearch"
            else ("es", "org.elasticsearch.bootstrap.Elasticsearch")
        )
        properties = {
            "path.home": self._home, "path.conf": self._folder / "config", "distribution.type": "zip",
            "distribution.flavor": "oss", "bundled_jdk": "false", "networkaddress.cache.ttl": 60,
            "networkaddress.cache.negative.ttl": 10,
        }  # fmt: skip
        manager = ("-Djava.security.manager=allow",) if self.kind.java[1] < 24 and not self._old else ()
        return [
            str(self._java),
            *(f"-Xms{self._heap}", f"-Xmx{self._heap}", "-XX:+UseG1GC", *QUICK),
            *(*manager, "-Dlog4j2.disable.jmx=true", "-Dlog4j.shutdownHookEnabled=false"),
            f"-Djava.io.tmpdir={self._folder / 'tmp'}",
            *(f"-D{prefix}.{name}={value}" for name, value in properties.items()),
            *("-cp", f"{self._home}/lib/*", main),
        ]

    def _environment(self) -> dict[str, str]:
        return {"LIBFFI_TMPDIR": str(self._folder / "tmp")}

    def _write_files(self) -> None:
        config = self._folder / "config"
        for name in ("config", "data", "logs", "tmp"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        lines = [f"{name}: {json.dumps(value)}" for name, value in self._settings.items()]
        (config / f"{self.kind.product}.yml").write_text("\n".join(lines) + "\n")
        (config / "log4j2.properties").write_text(_LOG4J)
        if self.kind.plugin:
            plugin = self.kind.plugin.split(":")[1]
            shutil.copytree(self._home / "plugins" / plugin / "config", config / plugin, dirs_exist_ok=True)
        for name, content in self._files.items():
            (config / name).write_bytes(content)
        if SERVER_USER is not None:
            for path in (self._folder, *self._folder.rglob("*")):
                shutil.chown(path, user=SERVER_USER)
