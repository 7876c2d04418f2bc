"""`cluster` runs a real Flink on 127.0.0.1: job manager, task managers, job server, a pool of Python workers.

A task manager has one slot and one worker process by default: a job of parallelism 2 then runs in two processes for
certain, where slots of one task manager share its workers as it happens (docs/flink.md). All ports are free
ones; the entry points are started by hand, because PyPI's archive has Flink's jars but no scripts.

    PortableRunner --job_endpoint     ----> job server ---> job manager ---> task managers --> pool --> workers
    FlinkRunner --flink_master --flink_job_server_jar  (a job server of its own each time)
"""

import re
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from local.flink.cache import Flink
from local.flink.rest import FlinkRest
from local.flink.settings import MB, OPENS, TASK_MANAGER_MEMORY, write_files
from local.processes import LocalError, Process
from local.servers.elasticsearch_server import free_port
from local.servers.java import QUICK

__all__ = ["FlinkCluster"]

START_TIMEOUT_S = 120.0


class FlinkCluster:
    """A standalone session cluster. Nothing runs until `start`.

    Args:
        flink: jars and Java, from `find_flink`.
        folder: for configuration, logs, checkpoints and savepoints.
        task_managers: how many.
        slots: of each.
        web_port: of the page and the REST API, else a free one.
        environment: for the Python workers, on top of ours.

    Attributes:
        url: of the page and the REST API.
        rest: its client.
        job_endpoint: of Beam's job server, for `--runner=PortableRunner --job_endpoint`; known once it is ready.
        pool_address: of the worker pool, for `--environment_type=EXTERNAL --environment_config`.
        task_managers: their processes, in the order of their start.
    """

    def __init__(
        self,
        flink: Flink,
        folder: Path,
        *,
        task_managers: int = 2,
        slots: int = 1,
        web_port: int | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.flink = flink
        self.folder = folder
        self.url = f"http://127.0.0.1:{web_port or free_port()}"
        self.rest = FlinkRest(self.url)
        self.job_endpoint = ""
        self.pool_address = f"127.0.0.1:{free_port()}"
        self.task_managers: list[Process] = []
        self._wanted = task_managers
        self._slots = slots
        self._environment = environment or {}
        self._job_manager: Process | None = None
        self._job_server: Process | None = None
        self._pool: Process | None = None
        self._number = 0

    @property
    def processes(self) -> list[Process]:
        """What was started, in the order in which it is to be ended."""
        found = [self._job_server, self._pool, *self.task_managers, self._job_manager]
        return [each for each in found if each is not None]

    @property
    def options(self) -> list[str]:
        """Beam's options for a job on this cluster, by its job server."""
        return [
            *("--runner", "PortableRunner", "--job_endpoint", self.job_endpoint),
            *("--environment_type", "EXTERNAL", "--environment_config", self.pool_address),
        ]

    @property
    def flink_runner_options(self) -> list[str]:
        """The same by `--runner FlinkRunner`, which starts a job server of its own."""
        return [
            *("--runner", "FlinkRunner", "--flink_master", self.url.removeprefix("http://")),
            *("--flink_version", "1.19", "--flink_job_server_jar", str(self.flink.job_server)),
            *(f"--job_server_jvm_properties={each}" for each in ("-XX:+UseSerialGC", *QUICK)),
            *("--environment_type", "EXTERNAL", "--environment_config", self.pool_address),
        ]

    def start(self, waiting: Callable[[], None] = lambda: None, *, wait: bool = True) -> "FlinkCluster":
        """Starts all of it, and returns when it takes jobs.

        Raises:
            LocalError: a part ended, or is not there within two minutes; with its last words.
        """
        write_files(self.folder, int(self.url.rpartition(":")[2]), self._slots)
        self._pool = self._python_pool()
        self._job_manager = self._java(
            "job manager",
            ["-Xmx384m", "-XX:MaxMetaspaceSize=256m"],
            "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint",
            {"jobmanager.memory.off-heap.size": 128 * MB},
        )
        self._job_server = self._beam_job_server()
        for _ in range(self._wanted):
            self.start_task_manager()
        if wait:
            self.wait_ready(waiting)
        return self

    def start_task_manager(self) -> Process:
        """One more."""
        self._number += 1
        process = self._java(
            f"task manager {self._number}",
            ["-Xmx512m", "-XX:MaxDirectMemorySize=192m", "-XX:MaxMetaspaceSize=256m"],
            "org.apache.flink.runtime.taskexecutor.TaskManagerRunner",
            {**TASK_MANAGER_MEMORY, "taskmanager.cpu.cores": float(self._slots)},
        )
        self.task_managers.append(process)
        return process

    def kill_task_manager(self, process: Process) -> None:
        """SIGKILL; its jobs restart elsewhere, if there are slots."""
        process.kill()
        self.task_managers.remove(process)

    def restart_pool(self, **environment: str) -> None:
        """Ends the workers, and starts a pool for new ones with these variables on top of the usual ones.

        With `PYTHONPATH`, they run another release of penstock, as after an upgrade of a pool's image.
        """
        assert self._pool is not None
        self._pool.stop()
        self._pool = self._python_pool(environment)
        self.wait_ready()

    def wait_ready(self, waiting: Callable[[], None] = lambda: None) -> None:
        """Returns when every task manager is registered and the job server answers; errors as in `start`."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._serves():
            self.check()
            if time.monotonic() > deadline:
                message = f"Flink has not all its task managers at {self.url} within {START_TIMEOUT_S:g} s."
                raise LocalError(message + self.processes[-1].last_words())
            waiting()
            time.sleep(0.1)

    def _serves(self) -> bool:
        try:
            overview = self.rest.overview()
        except (OSError, LocalError):
            return False
        assert self._job_server is not None
        assert self._pool is not None
        told = re.search(r"JobService started on \S+:(\d+)", self._job_server.log.read_text(errors="replace"))
        if told is None or b"serving at" not in self._pool.log.read_bytes():
            return False
        self.job_endpoint = f"127.0.0.1:{told[1]}"
        return int(overview["slots-total"]) >= self._slots * len(self.task_managers)

    def check(self) -> None:
        """Raises `LocalError` when a part of it has ended."""
        for process in self.processes:
            process.check()

    def workers(self) -> list[int]:
        """Process ids of the Python workers that run now, the oldest first."""
        logs = sorted((self.folder / "workers").glob("worker-*.log"), key=lambda log: log.stat().st_ctime)
        found = [int(log.stem.partition("-")[2]) for log in logs]
        return [pid for pid in found if self._is_worker(pid)]

    def _is_worker(self, pid: int) -> bool:
        # The pool is their parent: field 4 of proc(5), counted from behind the command in parentheses.
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return False
        return self._pool is not None and fields[0] not in "ZX" and int(fields[1]) == self._pool.pid

    def worker_log(self) -> str:
        """What all workers have logged, those that are gone too."""
        return "".join(
            log.read_text(errors="replace") for log in sorted((self.folder / "workers").glob("*.log"))
        )

    def stop(self) -> None:
        """Ends it in good order: the workers write their last checkpoints."""
        if self._pool is not None:
            self._pool.stop()
        self.kill()

    def kill(self) -> None:
        """Ends all of it at once."""
        for process in self.processes:
            process.kill()

    # -- parts -----------------------------------------------------------------------------------------

    def _java(self, name: str, memory: list[str], program: str, settings: Mapping[str, object]) -> Process:
        conf = self.folder / "conf"
        command = [
            str(self.flink.java), *memory, "-XX:+UseSerialGC", *QUICK, *OPENS,
            f"-Dlog4j.configurationFile={conf / 'log4j.properties'}",
            *("-cp", ":".join(map(str, self.flink.jars)), program, "--configDir", str(conf)),
        ]  # fmt: skip
        for key, value in settings.items():
            unit = "b" if ".memory." in key else ""
            command += ["-D", f"{key}={value}{unit}"]
        log = self.folder / f"{name.replace(' ', '-')}.log"
        return Process(f"Flink's {name}", command, log, environment={"FLINK_CONF_DIR": str(conf)})

    def _beam_job_server(self) -> Process:
        command = [
            str(self.flink.java), "-Xmx256m", "-XX:+UseSerialGC", *QUICK,
            *("-jar", str(self.flink.job_server)), "--job-host", "127.0.0.1",
            *("--flink-master", self.url, "--artifacts-dir", str(self.folder / "artifacts")),
            *("--job-port", "0", "--artifact-port", "0", "--expansion-port", "-1"),
        ]  # fmt: skip
        return Process("Beam's job server", command, self.folder / "job-server.log")

    def _python_pool(self, environment: Mapping[str, str] | None = None) -> Process:
        program = Path(__file__).with_name("pool.py")
        port = self.pool_address.rpartition(":")[2]
        command = [sys.executable, "-P", str(program), port, str(self.folder / "workers")]
        variables = {**self._environment, **(environment or {})}
        return Process("the Python worker pool", command, self.folder / "pool.log", environment=variables)
