"""The three ways to install: wheel, sdist and editable, each in an environment of its own.

The dependencies are borrowed from the environment that runs the tests (a path file), since a gigabyte of
them four times over would prove nothing more.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FOLDERS = ("penstock", "io", "transforms", "pipelines")
# Not for servers, but for minutes: it runs with them. One worker builds the wheel.
pytestmark = [pytest.mark.servers, pytest.mark.xdist_group("build")]


def run(*command, cwd=None, stderr=subprocess.PIPE, **variables):
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-2000:] + (done.stderr or "")[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A clean copy of what is under version control, or will be."""
    copy = tmp_path_factory.mktemp("checkout") / "penstock"
    copy.mkdir()
    for name in ("setup.py", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, copy)
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    return copy


@pytest.fixture(scope="module")
def wheel(checkout, tmp_path_factory):
    target = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-P", "-m", "pip", "wheel", "-q", "--no-deps", "-w", target, checkout)
    return next(target.glob("penstock_beam-*.whl"))


def environment(folder):
    """A fresh virtual environment that borrows our dependencies, pip among them, but not our penstock."""
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    python = folder / "bin" / "python"
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    borrowed = folder / "borrowed"
    borrowed.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if "penstock" not in entry.name and not entry.name.endswith(".pth"):
            (borrowed / entry.name).symlink_to(entry)
    (site / "borrowed.pth").write_text(str(borrowed))
    return python


def works(python, cwd):
    """Imports, the console script, and the module that is the same."""
    folder = Path(python).parent
    where = run(
        python, "-c",
        "import io, penstock.io.chain.live_objects, penstock.transforms.batch, penstock.pipelines.run.streaming;"
        "io.StringIO; print(penstock.io.chain.live_objects.__file__)",
        cwd=cwd,
    ).strip()  # fmt: skip
    assert "beats-to-kinesis" in run(folder / "penstock", "--help", cwd=cwd)
    assert "penstock 0." in run(folder / "penstock", "--version", cwd=cwd)
    for job in ("beats-to-kinesis", "kinesis-to-elasticsearch"):
        by_script = run(folder / "penstock", job, "--help", cwd=cwd)
        by_module = run(python, "-m", "penstock", job, "--help", cwd=cwd)
        assert by_script == by_module
        assert "--dead_letters" in by_script
    return Path(where)


def kernels(python, cwd):
    """Which kernels an installation uses."""
    asked = "import penstock.io.kinesis.write.sink, penstock.io.kinesis.read.source"
    told = "from penstock.transforms.kernels import native; print(*native.available())"
    return run(python, "-c", f"{asked}; {told}", cwd=cwd).split()


def test_wheel(wheel, tmp_path):
    names = zipfile.ZipFile(wheel).namelist()
    inside = {name.split("/")[1] for name in names if name.startswith("penstock/")}
    assert inside == {"io", "transforms", "pipelines", "__init__.py", "__main__.py", "testing", "py.typed"}
    expected = {
        f"{path.relative_to(ROOT)}" if folder == "penstock" else f"penstock/{path.relative_to(ROOT)}"
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
    }
    assert expected <= set(names)
    assert "penstock/io/py.typed" in names
    assert {f"penstock/pipelines/status/page/page.{kind}" for kind in ("html", "css", "js")} <= set(names)
    python = environment(tmp_path / "env")
    run(python, "-m", "pip", "install", "-q", "--no-deps", wheel)
    assert str(works(python, tmp_path)).startswith(str(tmp_path / "env"))
    if shutil.which("cc"):
        assert "aggregation" in kernels(python, tmp_path)
        assert "penstock/io/kinesis/kpl/_native_aggregation.c" not in names


def test_mypy_is_silent_on_the_programs_of_a_beam_developer(wheel, tmp_path):
    """As a user runs it: strict, on the installed package, with the one setting that docs/pipelines.md tells."""
    python = environment(tmp_path / "env")
    run(python, "-m", "pip", "install", "-q", "--no-deps", wheel)
    (tmp_path / "mypy.ini").write_text(
        "[mypy]\nstrict = True\n[mypy-apache_beam.*]\nfollow_imports = skip\n"
    )
    programs = sorted((ROOT / "examples" / "beam").glob("*.py"))
    assert len(programs) == 4
    for program in programs:
        shutil.copy(program, tmp_path)
    mypy = (python, "-m", "mypy", "--config-file", "mypy.ini")
    run(*mypy, *(program.name for program in programs), cwd=tmp_path)
    wrong = (tmp_path / "dicts_to_kinesis.py").read_text().replace("stream_name=", "stream=")
    (tmp_path / "wrong.py").write_text(wrong)
    done = subprocess.run(
        [*map(str, mypy), "wrong.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert 'Unexpected keyword argument "stream" for "WriteToKinesis"' in done.stdout


def test_the_extras_that_a_user_asks_for_are_there(wheel, tmp_path):
    """`s3` and `flink` add nothing: the borrowed dependencies are all, no index is needed."""
    (metadata,) = [name for name in zipfile.ZipFile(wheel).namelist() if name.endswith("/METADATA")]
    told = zipfile.ZipFile(wheel).read(metadata).decode()
    assert set(re.findall("^Provides-Extra: (.+)$", told, re.MULTILINE)) == {
        "s3",
        "flink",
        "yaml",
        "demo",
        "docs",
        "dev",
    }
    python = environment(tmp_path / "env")
    command = (python, "-m", "pip", "install", "--no-index", f"penstock-beam[s3,flink] @ {wheel.as_uri()}")
    said = run(*command, stderr=subprocess.STDOUT)
    assert "does not provide the extra" not in said
    assert "Successfully installed penstock-" in said


def test_without_a_compiler(checkout, tmp_path):
    source = tmp_path / "source"
    shutil.copytree(checkout, source, ignore=shutil.ignore_patterns("*.egg-info", "build"))
    python = environment(tmp_path / "env")
    run(python, "-m", "pip", "install", "-q", "--no-deps", source, CC="/bin/false")
    works(python, tmp_path)
    assert kernels(python, tmp_path) == []


def test_sdist(checkout, tmp_path):
    build = "from setuptools import build_meta; print(build_meta.build_sdist(r'{}'))"
    source = tmp_path / "source"
    shutil.copytree(checkout, source, ignore=shutil.ignore_patterns("*.egg-info", "build"))
    builder = tmp_path / "builder"
    run(sys.executable, "-m", "venv", builder)
    run(builder / "bin" / "python", "-m", "pip", "install", "-q", "setuptools>=77")
    run(builder / "bin" / "python", "-P", "-c", build.format(tmp_path), cwd=source)
    archive = next(tmp_path.glob("penstock_beam-*.tar.gz"))
    with tarfile.open(archive) as content:
        assert any(name.endswith("/io/chain/live_objects.py") for name in content.getnames())
        assert any(name.endswith("/io/kinesis/kpl/_native_aggregation.c") for name in content.getnames())
    python = environment(tmp_path / "env")
    run(python, "-m", "pip", "install", "-q", "--no-deps", archive)
    works(python, tmp_path)
    if shutil.which("cc"):
        assert "aggregation" in kernels(python, tmp_path)


@pytest.mark.full
def test_what_is_uploaded(tmp_path):
    """The sdist, and a manylinux wheel with its kernels for each Python that is here; the index would take them."""
    run(ROOT / ".ci" / "wheels", tmp_path / "dist")
    built = sorted(path.name for path in (tmp_path / "dist").iterdir())
    assert "penstock_beam-0.1.0.tar.gz" in built
    ours = f"cp3{sys.version_info[1]}"
    (wheel,) = [name for name in built if f"-{ours}-{ours}-" in name]
    assert "manylinux_2_17" in wheel
    python = environment(tmp_path / "env")
    run(python, "-m", "pip", "install", "-q", "--no-deps", tmp_path / "dist" / wheel)
    works(python, tmp_path)
    assert "aggregation" in kernels(python, tmp_path)


def test_the_licence_is_said_by_the_oldest_and_the_newest_setuptools(wheel, checkout, tmp_path):
    """Beam builds with the setuptools at hand. Pip builds with the newest."""
    (needed,) = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    python = environment(tmp_path / "env")
    run(python, "-m", "pip", "install", "-q", needed.replace(">=", "=="), "wheel")
    source = tmp_path / "source"
    shutil.copytree(checkout, source, ignore=shutil.ignore_patterns("*.egg-info", "build"))
    build = f"from setuptools import build_meta; build_meta.build_wheel({str(tmp_path)!r})"
    run(python, "-P", "-c", build, cwd=source, CC="/bin/false")
    (old,) = tmp_path.glob("*.whl")
    for made, key in ((old, "License"), (wheel, "License-Expression")):
        archive = zipfile.ZipFile(made)
        (metadata,) = [name for name in archive.namelist() if name.endswith("/METADATA")]
        told = archive.read(metadata).decode()
        assert f"\n{key}: Apache-2.0\n" in told
        assert "\nLicense-File: LICENSE\n" in told


def test_the_links_of_the_readme_lead_somewhere_on_the_index(wheel):
    (metadata,) = [name for name in zipfile.ZipFile(wheel).namelist() if name.endswith("/METADATA")]
    told = zipfile.ZipFile(wheel).read(metadata).decode()
    assert "](https://github.com/penstock-beam/penstock/blob/main/docs/start.md)" in told
    assert not re.findall(r"\]\((?!https?://|#)[^)]*\)", told)
    assert 'src="https://github.com/penstock-beam/penstock/raw/main/docs/_static/status-light.png"' in told
    assert not re.findall(r' (?:src|srcset)="(?!https?://)[^"]*"', told)


def test_editable(checkout, tmp_path):
    source = tmp_path / "source"
    shutil.copytree(checkout, source, ignore=shutil.ignore_patterns("*.egg-info", "build"))
    python = environment(tmp_path / "env")
    run(python, "-m", "pip", "install", "-q", "--no-deps", "-e", source)
    # From the checkout itself too, where a folder `io` lies around.
    assert works(python, source) == source / "io" / "chain" / "live_objects.py"
    if shutil.which("cc"):
        assert "aggregation" in kernels(python, source)
