"""The house's rules, as far as a parser can see them: who imports whom, what is pure, how long a file may be."""

import ast
import functools
import graphlib
import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("transforms", "io", "pipelines")  # each may import itself and those before it
IMPURE = {
    *("socket", "ssl", "selectors", "http", "urllib3"),
    *("apache_beam", "boto3", "botocore", "elasticsearch"),
    *("logging", "pathlib", "os", "shutil", "tempfile", "subprocess"),
}
MOST_IN_A_ROOM = 12
MOST_TESTS_IN_A_ROOM = 15
NO_SENTENCE = ("What", "How", "Whether", "Where", "Which", "Who", "From", "Everything")
STRANGERS = (  # the first room never reaches the second, not through others either
    *(("io/kinesis/read", "io/kinesis/write"), ("io/kinesis/write", "io/kinesis/read")),
    *(
        (f"io/kinesis/{below}", f"io/kinesis/{above}")
        for below in ("wire", "kpl", "lease")
        for above in ("read", "write")
    ),
    ("io/s3", "io/kinesis"),
    ("io/beats/wire", "io/beats/server"),
    *((f"io/{peer}", "io/dead_letters") for peer in ("beats", "kinesis", "elasticsearch", "s3", "archive")),
)


def _modules(*folders):
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


@functools.cache
def _tree(path):
    return ast.parse(path.read_text(), str(path))


@functools.cache
def _imports(path):
    """The dotted names that a module imports, wherever in it."""
    return tuple(_imported(path))


def _imported(path):
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: import absolutely, from penstock..."
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _name(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_go_one_way(package):
    own = PACKAGES.index(package)
    for path in _modules(package):
        for name in _imports(path):
            parts, told = name.split("."), f"{_name(path)} imports {name}"
            assert parts[0] not in {*PACKAGES} - {"io"}, f"{told}: import penstock.{name}"
            assert parts[0] not in {"tests", "local", "benchmarks"}, f"{told}: no part of the package"
            if parts[0] == "penstock" and len(parts) > 1:
                assert parts[1] in PACKAGES, told
                assert PACKAGES.index(parts[1]) <= own, told


@pytest.mark.parametrize("path", [p for p in _modules(*PACKAGES) if p.name.startswith("_")], ids=_name)
def test_protocol_cores_are_pure(path):
    """`_name.py` knows bytes and rules: no socket, file, log or Beam. What has those is named without the underscore."""
    if path.name in ("__init__.py", "__main__.py"):
        return
    for name in _imports(path):
        assert name.split(".")[0] not in IMPURE, f"{_name(path)} imports {name}"
    for node in ast.walk(_tree(path)):
        opens = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "open"
        assert not opens, f"{_name(path)}:{node.lineno} opens a file"


def _rooms():
    """The folders that hold code; data (patterns, a page) lies in folders of its own."""
    return sorted({path.parent for top in (*PACKAGES, "local") for path in (ROOT / top).rglob("*.py")})


@pytest.mark.parametrize("folder", _rooms(), ids=_name)
def test_a_room_holds_a_dozen_files_at_most(folder):
    files = [p.name for p in folder.iterdir() if p.suffix in (".py", ".c", ".h") and p.name != "__init__.py"]
    assert len(files) <= MOST_IN_A_ROOM, sorted(files)
    assert (folder / "__init__.py").exists(), f"{_name(folder)} says nowhere which of its files holds what"


@pytest.mark.parametrize(
    "folder", sorted({path.parent for path in (ROOT / "tests").rglob("test_*.py")}), ids=_name
)
def test_a_room_of_tests_can_be_taken_in_at_a_glance(folder):
    files = [path.name for path in folder.glob("test_*.py")]
    assert len(files) <= MOST_TESTS_IN_A_ROOM, sorted(files)


def test_tools_of_tests_stand_in_rooms():
    assert not list((ROOT / "tests" / "tools").glob("*.py")), "each tool in one of the rooms beside it"
    for folder in (ROOT / "tests" / "tools").iterdir():
        assert len(list(folder.glob("*.py"))) <= MOST_IN_A_ROOM, _name(folder)
    for path in (ROOT / "tests").rglob("*.py"):
        for name in re.findall(r"^from (tests\.tools[.\w]*) import", path.read_text(), re.MULTILINE):
            tool = ROOT / name.replace(".", "/")
            assert tool.with_suffix(".py").exists() or tool.is_dir(), f"{_name(path)}: there is no {name}"


@functools.cache
def _graph():
    """Which of our files imports which, by path. A package's `__init__` counts only for whoever asks it for a name."""
    files = {}
    for path in _modules(*PACKAGES):
        parts = path.relative_to(ROOT).with_suffix("").parts
        files[".".join(("penstock", *parts)).removesuffix(".__init__")] = path
    graph = {}
    for path in files.values():
        known = set()
        for name in _imports(path):
            while name and name not in files:
                name = name.rpartition(".")[0]
            if name and files[name] != path:
                known.add(files[name])
        graph[path] = known
    return graph


def test_no_files_import_each_other_in_a_circle():
    graph, done = _graph(), set()

    def walk(path, way):
        if path in way:
            circle = [_name(each) for each in (*way[way.index(path) :], path)]
            pytest.fail(" -> ".join(circle))
        if path not in done:
            for each in sorted(graph[path]):
                walk(each, (*way, path))
            done.add(path)

    for path in graph:
        walk(path, ())


@pytest.mark.parametrize(
    "folder", [f for f in _rooms() if f.relative_to(ROOT).parts[0] in PACKAGES], ids=_name
)
def test_what_stands_beside_each_other_in_a_room_is_no_circle(folder):
    """Files and rooms of one folder can be put in an order in which each knows only those below it."""
    known = {}
    for path, others in _graph().items():
        if folder not in path.parents or path == folder / "__init__.py":
            continue
        mine = path.relative_to(folder).parts[0]
        theirs = {each.relative_to(folder).parts[0] for each in others if folder in each.parents}
        known.setdefault(mine, set()).update(theirs - {mine, "__init__.py"})
    try:
        graphlib.TopologicalSorter(known).prepare()
    except graphlib.CycleError as error:
        pytest.fail(f"{_name(folder)}: {' <- '.join(error.args[1])}")


@pytest.mark.parametrize(("room", "stranger"), STRANGERS)
def test_rooms_that_do_not_know_each_other(room, stranger):
    graph = _graph()
    ways = {path: _name(path) for path in graph if (ROOT / room) in path.parents}
    todo = list(ways)
    while todo:
        path = todo.pop()
        for known in graph[path] - ways.keys():
            if known.name == "__init__.py":
                continue  # a room's list of names; whoever uses one is looked at by itself
            ways[known] = f"{ways[path]} -> {_name(known)}"
            assert (ROOT / stranger) not in known.parents, ways[known]
            todo.append(known)


def test_no_module_is_too_long():
    for path in _modules(*PACKAGES, "local", "tests", "benchmarks"):
        longest = 600 if path.relative_to(ROOT).parts[0] == "tests" else 400
        assert len(path.read_text().splitlines()) <= longest, _name(path)


@pytest.mark.parametrize("path", _modules(*PACKAGES), ids=_name)
def test_modules_say_what_they_are_and_what_they_offer(path):
    tree = _tree(path)
    told = ast.get_docstring(tree) or ""
    assert told or not tree.body, f"{_name(path)} has no docstring"
    if path.name != "__init__.py":
        assert told.split(" ")[0] not in NO_SENTENCE, f"{_name(path)}: the first line says `X does Y`"
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


@pytest.mark.parametrize("folder", ["benchmarks", "examples", "fuzz", "local", "tests"])
def test_what_stands_beside_the_package_says_what_it_does_too(folder):
    for path in _modules(folder):
        told = ast.get_docstring(_tree(path)) or ""
        assert told.split(" ")[0] not in NO_SENTENCE, f"{_name(path)}: the first line says `X does Y`"


@pytest.mark.parametrize(
    "room", [path for path in _modules(*PACKAGES) if path.name == "__init__.py"], ids=_name
)
def test_a_room_has_the_names_that_it_offers(room):
    """Some load their names when they are first used; `help` and completion ask `dir`."""
    package = importlib.import_module(".".join(("penstock", *room.parent.relative_to(ROOT).parts)))
    assert set(getattr(package, "__all__", ())) <= set(dir(package))
    for name in getattr(package, "__all__", ()):
        assert hasattr(package, name), name


def test_every_package_is_typed():
    for folder in PACKAGES:
        assert (ROOT / folder / "py.typed").exists()
