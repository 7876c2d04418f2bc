"""When the environment is set up again."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from local import bootstrap

ROOT = Path(__file__).parents[3]


def test_a_kernel_that_changed_is_built_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    for folder in ("io/kinesis", "transforms"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("pyproject.toml", "setup.py", "io/kinesis/_native_toy.c", "io/kinesis/other.py"):
        (tmp_path / name).write_text("1")
    stamps = [bootstrap.stamp()]
    (tmp_path / "io/kinesis/other.py").write_text("2")
    assert bootstrap.stamp() == stamps[0]
    for name in ("io/kinesis/_native_toy.c", "transforms/_native_toy.h", "setup.py"):
        (tmp_path / name).write_text("2")
        assert bootstrap.stamp() not in stamps
        stamps.append(bootstrap.stamp())


@pytest.mark.parametrize(
    ("stamped", "asked", "complete", "installed"),
    [
        ("", "demo", False, "demo"),
        ("demo", "demo", True, None),
        ("demo", "dev", False, "dev"),
        ("dev", "demo", True, None),
        ("dev", "dev", True, None),
        ("dev of yesterday", "demo", False, "dev"),
        ("an old stamp without a word for what", "demo", False, "demo"),
    ],
)
def test_a_demonstration_installs_less_than_the_tests(
    stamped, asked, complete, installed, tmp_path, monkeypatch
):
    run = []
    monkeypatch.setattr(bootstrap, "VENV", tmp_path)
    monkeypatch.setattr(bootstrap, "STAMP", tmp_path / "penstock.stamp")
    monkeypatch.setattr(bootstrap, "stamp", lambda: "now")
    monkeypatch.setattr(bootstrap, "run", lambda command: run.append(command[-1]))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").touch()
    if stamped:
        text = f"{stamped} now" if stamped in ("demo", "dev") else stamped
        (tmp_path / "penstock.stamp").write_text(text)
    assert bootstrap.complete(asked) is complete
    if not complete:
        bootstrap.install(asked)
        assert run[-1].endswith(f"[{installed}]")
        assert bootstrap.complete(asked)


@pytest.fixture
def open_folder():
    """A folder that the servers' user reaches; root's temporary ones are shut."""
    with tempfile.TemporaryDirectory(prefix="penstock-cache-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.parametrize(
    ("arguments", "hosts", "fetched"),
    [
        ((), "", "elasticsearch-8.19.21"),
        (("up", "--server", "opensearch"), "", "opensearch-3.9.0"),
        (("--lines", "5", "--server=opensearch", "a.log"), "", "opensearch-3.9.0"),
        (("logstash", "a.conf"), "", "elasticsearch-8.19.21"),
        (("test", "--fast"), "", None),
        ((), "http://127.0.0.1:9200", None),
    ],
)
def test_the_server_is_fetched_while_packages_are_installed(
    arguments, hosts, fetched, tmp_path, open_folder, monkeypatch
):
    """By a Python without packages; a Maven of the test says what it is asked for."""
    for name in ("bin", "java/bin"):
        (tmp_path / name).mkdir(parents=True)
    asked = tmp_path / "asked"
    program = f"#!/bin/sh\nls -d {open_folder}/download-* >> {asked}\nexit 1\n"
    for path, text in (("bin/mvn", program), ("java/bin/java", "")):
        (tmp_path / path).write_text(text)
        (tmp_path / path).chmod(0o755)
    (tmp_path / "java" / "release").write_text('JAVA_VERSION="21.0.1"\n')
    for name in (f"download-{fetched}-killed_1", "download-killed_2", f"download-{fetched}-x-running1"):
        (open_folder / name).mkdir()
    monkeypatch.setattr(bootstrap.sys, "executable", sys.base_prefix + "/bin/python3")
    monkeypatch.setenv("ES_JAVA_HOME", str(tmp_path / "java"))
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    monkeypatch.setenv("PENSTOCK_CACHE", str(open_folder))
    monkeypatch.setenv("ELASTICSEARCH_HOSTS", hosts)
    download = bootstrap.begin_download(list(arguments))
    if fetched is None:
        assert download is None
        return
    assert download.wait() == 1  # Maven's failure, which whoever needs the server hears again
    assert f"download-{fetched}" in asked.read_text()
    left = {folder.name for folder in open_folder.glob("download-*/")}
    assert left == {"download-killed_2", f"download-{fetched}-x-running1"}, (
        "those of other downloads may be running"
    )


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("--help", "usage: ./run_local.sh"),
        ("test --help", "usage: ./run_local.sh"),
        ("down", "nothing runs"),
        ("status", "nothing runs"),
    ],
)
def test_what_needs_no_packages_installs_none(command, said, tmp_path):
    shutil.copytree(ROOT / "local", tmp_path / "local")
    shutil.copy(ROOT / "run_local.sh", tmp_path)
    done = subprocess.run(
        [tmp_path / "run_local.sh", *command.split()], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert said in done.stdout
    assert not (tmp_path / ".venv").exists()
