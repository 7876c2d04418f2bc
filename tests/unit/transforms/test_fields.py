import pytest

from penstock.transforms.fields import MISSING, get, parse_path, put, remove


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("a", ("a",)),
        ("a.b", ("a", "b")),
        ("[a][b.c]", ("a", "b.c")),
        ("[@metadata][_id]", ("@metadata", "_id")),
    ],
)
def test_paths_are_parsed(text, path):
    assert parse_path(text) == path


@pytest.mark.parametrize("text", ["", ".", "a.", "a..b", "[a", "a]", "[a]b", "[]", "[a][]", "a[b]"])
def test_what_is_no_path_is_refused(text):
    with pytest.raises(ValueError, match="is not a field"):
        parse_path(text)


def test_get_walks_objects_and_arrays_and_finds_dotted_keys():
    document = {"a": {"b": [10, {"c": 11}]}, "log.level": "info", "n": None}
    assert get(document, ("a", "b", "0")) == 10
    assert get(document, ("a", "b", "1", "c")) == 11
    assert get(document, ("a", "b", "2")) is MISSING
    assert get(document, ("a", "b", "x")) is MISSING
    assert get(document, ("log", "level")) == "info"
    assert get(document, ("n",)) is None
    assert get(document, ("n", "m"), "else") == "else"


def test_nested_wins_over_dotted():
    assert get({"a": {"b": 1}, "a.b": 2}, ("a", "b")) == 1


def test_put_makes_objects_and_refuses_to_replace_a_value_by_one():
    document = {"s": "text", "x.y": 1}
    put(document, ("a", "b", "c"), 1)
    put(document, ("x", "y"), 2)
    assert document == {"s": "text", "x.y": 2, "a": {"b": {"c": 1}}}
    with pytest.raises(ValueError, match="s is no object"):
        put(document, ("s", "t"), 1)


def test_remove_takes_emptied_objects_along():
    document = {"a": {"b": {"c": 1}}, "d": {"e": 1, "f": 2}, "g.h": 3}
    assert remove(document, ("a", "b", "c")) == 1
    assert remove(document, ("d", "e")) == 1
    assert remove(document, ("g", "h")) == 3
    assert remove(document, ("d", "e")) is MISSING
    assert remove(document, ("nothing",)) is MISSING
    assert document == {"d": {"f": 2}}
