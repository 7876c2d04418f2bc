"""Programs built from Beam's source: once, whole or not at all, and said well when it can't be. Go is a script here."""

import io

import apache_beam
import pytest

from local.processes import LocalError
from local.servers import beam_programs
from local.terminal import Progress


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setattr(beam_programs, "_USUAL_GO", "/nowhere")
    monkeypatch.setattr(beam_programs, "cache_folder", lambda: folder)
    folder = tmp_path / "cache"
    folder.mkdir()
    (tmp_path / "bin").mkdir()
    return folder


def go(cache, script):
    program = cache.parent / "bin" / "go"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def find():
    return beam_programs.find_prism(Progress(io.StringIO()))


def test_without_go_it_is_said_what_to_do(cache):
    with pytest.raises(LocalError, match=r"Go 1.21 or newer .* Beam's prism: .*golang-go"):
        find()


def test_a_program_is_built_once_of_the_version_of_beam_that_is_installed(cache):
    go(cache, 'echo "$@" > $GOBIN/prism')
    program = find()
    assert program == cache / f"beam-prism-{apache_beam.__version__}" / "prism"
    wanted = f"github.com/apache/beam/sdks/v2/go/cmd/prism@v{apache_beam.__version__}"
    assert program.read_text().split()[-1] == wanted
    (cache.parent / "bin" / "go").unlink()
    assert find() == program
    assert {path.name for path in cache.iterdir()} == {program.parent.name, "beam-prism.lock"}


def test_a_build_that_fails_leaves_nothing_but_its_last_words(cache):
    go(cache, "touch $GOBIN/half; echo no route to the proxy; exit 1")
    with pytest.raises(LocalError, match=r"could not be built by `go install .*(?s:.)*no route to the proxy"):
        find()
    assert [path.name for path in cache.iterdir()] == ["beam-prism.lock"]
