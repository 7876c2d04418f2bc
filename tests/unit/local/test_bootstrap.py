"""When the environment is set up again."""

import shutil
import subprocess
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
