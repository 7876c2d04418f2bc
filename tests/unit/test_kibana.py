"""The file that Kibana imports, held against the documented form of saved objects (no Kibana runs here)."""

import importlib.util
import json
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "kibana"
OBJECTS = [json.loads(line) for line in (FOLDER / "penstock.ndjson").read_text().splitlines()]
BY_ID = {each["id"]: each for each in OBJECTS}


def test_the_file_is_what_the_script_makes():
    spec = importlib.util.spec_from_file_location("kibana_make", FOLDER / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.lines() == (FOLDER / "penstock.ndjson").read_text(), "run python kibana/make.py"
    assert json.loads(module.lines("x-*").splitlines()[0])["attributes"]["title"] == "x-*"


def test_the_objects_are_whole_and_their_references_exist():
    assert [each["type"] for each in OBJECTS] == [
        "index-pattern",
        "search",
        *["visualization"] * 4,
        "dashboard",
    ]
    for each in OBJECTS:
        assert set(each) == {
            "id",
            "type",
            "attributes",
            "references",
            "migrationVersion",
            "coreMigrationVersion",
        }
        assert list(each["migrationVersion"]) == [each["type"]]
        for reference in each["references"]:
            assert BY_ID[reference["id"]]["type"] == reference["type"]


def test_strings_that_hold_json_do():
    for each in OBJECTS:
        names = {reference["name"] for reference in each["references"]}
        attributes = each["attributes"]
        for name in ("visState", "uiStateJSON", "panelsJSON", "optionsJSON"):
            if name in attributes:
                assert isinstance(json.loads(attributes[name]), (dict, list))
        if each["type"] in ("search", "visualization"):
            source = json.loads(attributes["kibanaSavedObjectMeta"]["searchSourceJSON"])
            assert source["indexRefName"] in names
            assert source["query"] == {"query": "", "language": "kuery"}


def test_the_dashboard_shows_every_chart_inside_the_grid_without_overlap():
    dashboard = OBJECTS[-1]
    names = {reference["name"]: reference["id"] for reference in dashboard["references"]}
    taken: set[tuple[int, int]] = set()
    shown = set()
    for panel in json.loads(dashboard["attributes"]["panelsJSON"]):
        grid = panel["gridData"]
        assert grid["i"] == panel["panelIndex"]
        assert grid["x"] + grid["w"] <= 48
        cells = {
            (x, y)
            for x in range(grid["x"], grid["x"] + grid["w"])
            for y in range(grid["y"], grid["y"] + grid["h"])
        }
        assert not cells & taken
        taken |= cells
        shown.add(names[f"{panel['panelIndex']}:{panel['panelRefName']}"])
    assert shown == {each["id"] for each in OBJECTS if each["type"] in ("search", "visualization")}
