"""The house's rules, as far as a parser can see them: who imports whom, what is pure, how long a file may be."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("transforms", "io", "pipelines")  # each may import itself and those before it
IMPURE = {
    "socket",
    "ssl",
    "selectors",
    "apache_beam",
    "boto3",
    "botocore",
    "urllib3",
    "http",
    "elasticsearch",
}


def _modules(*folders):
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def _imports(path):
    """The dotted names that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: import absolutely, from penstock..."
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _name(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", _modules(*PACKAGES), ids=_name)
def test_imports_go_one_way(path):
    own = PACKAGES.index(path.relative_to(ROOT).parts[0])
    for name in _imports(path):
        parts = name.split(".")
        assert parts[0] not in {*PACKAGES} - {"io"}, f"{name}: import penstock.{name}"
        assert parts[0] not in {"tests", "local", "benchmarks"}, f"{name}: no part of the package"
        if parts[0] == "penstock" and len(parts) > 1:
            assert parts[1] in PACKAGES, name
            assert PACKAGES.index(parts[1]) <= own, f"{_name(path)} must not import {name}"


@pytest.mark.parametrize(("room", "other"), [("read", "write"), ("write", "read")])
def test_the_kinesis_read_and_write_do_not_know_each_other(room, other):
    for path in _modules(f"io/kinesis/{room}"):
        for name in _imports(path):
            assert not name.startswith(f"penstock.io.kinesis.{other}."), f"{_name(path)} imports {name}"


@pytest.mark.parametrize("path", [p for p in _modules(*PACKAGES) if "/_" in str(p)], ids=_name)
def test_protocol_cores_are_pure(path):
    """`_name.py` knows bytes and rules. What talks to a peer is named without the underscore."""
    if path.name in ("__init__.py", "__main__.py"):
        return
    for name in _imports(path):
        assert name.split(".")[0] not in IMPURE, f"{_name(path)} imports {name}"


@pytest.mark.parametrize("path", _modules(*PACKAGES, "local", "tests", "benchmarks"), ids=_name)
def test_no_module_is_too_long(path):
    longest = 600 if path.relative_to(ROOT).parts[0] == "tests" else 400
    assert len(path.read_text().splitlines()) <= longest


@pytest.mark.parametrize("path", _modules(*PACKAGES), ids=_name)
def test_modules_say_what_they_are_and_what_they_offer(path):
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree) or not tree.body, f"{_name(path)} has no docstring"
    if path.name.startswith("_"):
        return
    names = {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    assert "__all__" in names, f"{_name(path)} has no __all__"


def test_every_package_is_typed():
    for folder in PACKAGES:
        assert (ROOT / folder / "py.typed").exists()
