"""`settings` holds the configuration files of `cluster`, and the arguments of its Java programs."""

import shutil
from pathlib import Path

from local.servers.elasticsearch_server import free_port

__all__ = ["MB", "OPENS", "TASK_MANAGER_MEMORY", "write_files"]

MB = 1 << 20

# What Flink's own scripts pass to a Java of 17 or newer.
OPENS = (
    *(
        "--add-exports=java.base/sun.net.util=ALL-UNNAMED",
        "--add-exports=java.rmi/sun.rmi.registry=ALL-UNNAMED",
    ),
    "--add-exports=java.security.jgss/sun.security.krb5=ALL-UNNAMED",
    *(
        f"--add-opens=java.base/java.{package}=ALL-UNNAMED"
        for package in (
            *("lang", "net", "io", "nio", "lang.reflect", "text", "time", "util"),
            *("util.concurrent", "util.concurrent.atomic", "util.concurrent.locks"),
        )
    ),
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
)

_LOG4J = """\
rootLogger.level = INFO
rootLogger.appenderRef.console.ref = console
appender.console.type = CONSOLE
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{HH:mm:ss,SSS} %-5p %c{1} - %m%n
"""

# A task manager's memory in bytes; started without Flink's scripts, it wants to be told each part.
TASK_MANAGER_MEMORY = {
    "taskmanager.memory.network.min": 32 * MB,
    "taskmanager.memory.network.max": 32 * MB,
    "taskmanager.memory.managed.size": 32 * MB,
    "taskmanager.memory.task.heap.size": 384 * MB,
    "taskmanager.memory.task.off-heap.size": 0,
    "taskmanager.memory.framework.heap.size": 128 * MB,
    "taskmanager.memory.framework.off-heap.size": 128 * MB,
    "taskmanager.memory.jvm-metaspace.size": 256 * MB,
    "taskmanager.memory.jvm-overhead.min": 192 * MB,
    "taskmanager.memory.jvm-overhead.max": 192 * MB,
}


def write_files(folder: Path, port: int, slots: int) -> None:
    """Makes the cluster's folders anew, and its configuration in `conf`.

    Args:
        folder: the cluster's.
        port: of the page and the REST API.
        slots: of each task manager.
    """
    for name in ("conf", "tmp", "workers", "artifacts", "checkpoints", "savepoints"):
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).mkdir(parents=True)
    settings = {
        "jobmanager.rpc.address": "127.0.0.1",
        "jobmanager.rpc.port": free_port(),
        "jobmanager.bind-host": "127.0.0.1",
        "jobmanager.memory.process.size": "1024m",
        "blob.server.port": free_port(),
        "rest.address": "127.0.0.1",
        "rest.bind-address": "127.0.0.1",
        "rest.port": port,
        "taskmanager.host": "127.0.0.1",
        "taskmanager.bind-host": "127.0.0.1",
        "taskmanager.numberOfTaskSlots": slots,
        "parallelism.default": 1,
        "state.checkpoints.dir": f"file://{folder / 'checkpoints'}",
        "state.savepoints.dir": f"file://{folder / 'savepoints'}",
        "restart-strategy.type": "fixed-delay",
        "restart-strategy.fixed-delay.attempts": 1_000_000,
        "restart-strategy.fixed-delay.delay": "1 s",
        # A task manager that came up before the job manager would wait for 10 s.
        "cluster.registration.error-delay": 500,
        "heartbeat.timeout": 10_000,
        "heartbeat.interval": 2_000,
        "metrics.fetcher.update-interval": 1_000,
        "io.tmp.dirs": str(folder / "tmp"),
    }
    # As Flink's flat dialect of YAML.
    text = "".join(f"{key}: {value}\n" for key, value in settings.items())
    (folder / "conf" / "config.yaml").write_text(text)
    (folder / "conf" / "log4j.properties").write_text(_LOG4J)
