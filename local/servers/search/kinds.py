"""`kinds` lists the search servers that can be fetched from Maven Central, and what each is made of.

An Elasticsearch is its small distribution for integration tests: no security, no ILM; the older ones have neither
ingest processors nor Painless. No archive of OpenSearch is served there, so one is put together from the server's jars
and those of a few modules.
"""

import dataclasses

__all__ = ["KINDS", "Kind", "Part"]


@dataclasses.dataclass(frozen=True)
class Part:
    """Jars that lie together: the server's own, a module's, or a plugin's archive.

    Attributes:
        artifacts: Maven's `group:artifact:version`; what they depend on comes with them.
        plugin_class: the class that the server loads, for a module.
        extends: the module that it extends.
    """

    artifacts: tuple[str, ...]
    plugin_class: str = ""
    extends: str = ""


@dataclasses.dataclass(frozen=True)
class Kind:
    """One server in one version.

    Attributes:
        name: such as `opensearch-2.19.6`; also that of its folder in the cache.
        java: the oldest and the newest Java that runs it.
        archive: the artifact that holds all of it; "" where it is put together from `parts`.
        parts: folder -> jars.
        plugin: a plugin's archive, which is unpacked into `plugins`.
        megabytes: to download, to be told.
    """

    name: str
    java: tuple[int, int]
    archive: str = ""
    parts: dict[str, Part] = dataclasses.field(default_factory=dict)
    plugin: str = ""
    megabytes: int = 0

    @property
    def product(self) -> str:
        """`opensearch` or `elasticsearch`."""
        return self.name.partition("-")[0]

    @property
    def launched(self) -> bool:
        """Whether it has a launcher, as Elasticsearch 8 has."""
        return self.product == "elasticsearch" and int(self.version.partition(".")[0]) >= 8

    @property
    def version(self) -> str:
        """Its version."""
        return self.name.rpartition("-")[2] if self.product == "elasticsearch" else self.name.split("-")[1]


def _opensearch(
    version: str,
    java: tuple[int, int],
    log4j: str,
    *further: str,
    ending: str = "Plugin",
    ingest: str = "",
    plugin: str = "",
) -> Kind:
    own = [
        f"org.opensearch:{name}:{version}"
        for name in ("opensearch", "opensearch-plugin-classloader", *further)
    ]
    # log4j-core is the one jar that the server needs and does not ask for.
    parts = {"lib": Part((*own, f"org.apache.logging.log4j:log4j-core:{log4j}"))}
    for name, artifact, plugin_class, extends in (
        ("transport-netty4", "transport-netty4-client", "org.opensearch.transport.Netty4", ""),
        ("lang-painless", "lang-painless", "org.opensearch.painless.Painless", ""),
        (
            "analysis-common",
            "analysis-common",
            "org.opensearch.analysis.common.CommonAnalysis",
            "lang-painless",
        ),
        ("ingest-common", "ingest-common", "org.opensearch.ingest.common.IngestCommon", "lang-painless"),
    ):
        jars = (f"org.opensearch.plugin:{artifact}:{ingest if ingest and 'ingest' in name else version}",)
        parts[f"modules/{name}"] = Part(jars, plugin_class + ending, extends)
    name = f"opensearch-{version}{'-security' if plugin else ''}"
    return Kind(name, java, parts=parts, plugin=plugin)


def _elasticsearch(version: str, java: tuple[int, int], megabytes: int = 0) -> Kind:
    archive = f"org.elasticsearch.distribution.integ-test-zip:elasticsearch:{version}:zip"
    return Kind(f"elasticsearch-{version}", java, archive, megabytes=megabytes)


KINDS = {
    kind.name: kind
    for kind in (
        # 2.x and Elasticsearch 7.x want Java's security manager, which 24 has no more.
        _opensearch("2.19.6", (17, 23), "2.25.4"),
        _opensearch(
            "3.9.0",
            (21, 99),
            "2.25.5",
            "opensearch-agent-bootstrap",
            ending="ModulePlugin",
            ingest="3.8.0",  # the newest that is served; it runs in 3.9
        ),
        _opensearch(
            "2.19.1", (17, 23), "2.21.0", plugin="org.opensearch.plugin:opensearch-security:2.19.1.0:zip"
        ),
        _elasticsearch("6.6.0", (11, 23)),
        _elasticsearch("6.8.23", (11, 23)),
        _elasticsearch("7.17.29", (17, 23)),
        _elasticsearch("8.19.21", (17, 99), 115),
    )
}
"""Every kind by its name."""
