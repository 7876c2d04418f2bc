"""`server` runs one node of a search server of any kind: OpenSearch, or an older Elasticsearch.

It is started as `ElasticsearchServer` is, with two differences: these have no launcher, and their log goes to the console.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local.servers.cache import SERVER_USER
from local.servers.elasticsearch_server import HEAP, ElasticsearchServer, free_port
from local.servers.search.kinds import Kind

__all__ = ["SearchServer"]

_LOG4J = """\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%-25c{1.}] %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
"""


class SearchServer(ElasticsearchServer):
    """One node. Nothing runs until `start`.

    Args:
        kind: what it is.
        home: the unpacked server.
        java_home: a Java for it.
        folder: for everything this node writes; made anew, reachable by `SERVER_USER`.
        settings: further settings, as in its YAML file.
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
        port: int | None = None,
        heap: str = HEAP,
    ) -> None:
        super().__init__(home, java_home, folder, settings=settings, port=port, heap=heap)
        self.kind = kind
        self.product = kind.name
        self._settings["transport.tcp.port" if kind.version.startswith("6.") else "transport.port"] = (
            free_port()
        )
        if kind.version.startswith("6."):
            del self._settings["transport.port"]
        if kind.version.startswith("6.") or kind.product == "opensearch":
            del self._settings["xpack.security.enabled"]

    def _command(self) -> list[str]:
        opensearch = self.kind.product == "opensearch"
        prefix, main = (
            ("opensearch", "org.opensearch.bootstrap.OpenSearch")
            if opensearch
            else ("es", "org.elasticsearch.bootstrap.Elasticsearch")
        )
        properties = {
            "path.home": self._home, "path.conf": self._folder / "config", "distribution.type": "zip",
            "distribution.flavor": "oss", "bundled_jdk": "false", "networkaddress.cache.ttl": 60,
            "networkaddress.cache.negative.ttl": 10,
        }  # fmt: skip
        return [
            str(self._java),
            *(f"-Xms{self._heap}", f"-Xmx{self._heap}", "-XX:+UseG1GC", "-XX:TieredStopAtLevel=1"),
            *(
                ("-Djava.security.manager=allow",)
                if self.kind.java[1] < 24 and not self.kind.version.startswith("6.")
                else ()
            ),
            *("-Dlog4j2.disable.jmx=true", "-Dlog4j.shutdownHookEnabled=false"),
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
        if SERVER_USER is not None:
            for path in (self._folder, *self._folder.rglob("*")):
                shutil.chown(path, user=SERVER_USER)
