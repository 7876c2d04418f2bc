"""Programs built by Go: once, whole or not at all, and said well when it can't be. Go is a script here."""

import io

import apache_beam
import pytest

from local.processes import LocalError
from local.servers import go_programs
from local.terminal import Progress

LOCK = f"beam-prism-{apache_beam.__version__}.lock"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setattr(go_programs, "_USUAL_GO", "/nowhere")
    monkeypatch.setattr(go_programs, "cache_folder", lambda: folder)
    folder = tmp_path / "cache"
    folder.mkdir()
    (tmp_path / "bin").mkdir()
    return folder


def go(cache, script):
    program = cache.parent / "bin" / "go"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def find():
    return go_programs.find_prism(Progress(io.StringIO()))


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
    assert {path.name for path in cache.iterdir()} == {program.parent.name, LOCK}


def test_a_build_that_fails_leaves_nothing_but_its_last_words(cache):
    go(cache, "touch $GOBIN/half; echo no route to the proxy; exit 1")
    with pytest.raises(LocalError, match=r"could not be built by `go install .*(?s:.)*no route to the proxy"):
        find()
    assert [path.name for path in cache.iterdir()] == [LOCK]


def test_the_next_build_removes_what_a_killed_one_left(cache):
    """A gigabyte for Filebeat. Another version's build may be running."""
    version = apache_beam.__version__
    for name in (f"build-beam-prism-{version}-killed", "build-beam-prism-1.0-running"):
        (cache / name / "modules").mkdir(parents=True)
    go(cache, "touch $GOBIN/prism")
    find()
    assert {path.name for path in cache.iterdir()} == {
        f"beam-prism-{version}", LOCK, "build-beam-prism-1.0-running",
    }  # fmt: skip


def test_filebeat_is_built_in_the_folder_of_its_own_sources_unless_one_is_installed(cache):
    """It replaces other modules, so that `go install` refuses it."""
    download = 'if [ "$1" = mod ]; then mkdir -p "$GOMODCACHE/$3/filebeat"; exit; fi'
    go(
        cache,
        f'{download}\n[ -d filebeat ] || exit 1\nwhile [ "$1" != -o ]; do shift; done\necho "$PWD" > "$2"',
    )
    program = go_programs.find_filebeat(Progress(io.StringIO()))
    assert program.parent.parent == cache
    assert "/modules/github.com/elastic/beats/v7@v7." in program.read_text()
    assert {path.name for path in cache.iterdir()} == {program.parent.name, f"{program.parent.name}.lock"}
    installed = cache.parent / "bin" / "filebeat"
    installed.touch(0o755)
    assert go_programs.find_filebeat(Progress(io.StringIO())) == installed
