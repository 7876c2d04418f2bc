"""`schema` makes the JSON Schema of a configuration file, by which editors complete its names and mark what is wrong.

Names are completed with underscores; with hyphens they are taken too. A value may always be a text with `${NAME}` in it.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import yaml

from penstock.pipelines.configuration.config_file import BEAM, FILE_SUFFIX
from penstock.pipelines.configuration.declared import Declared, groups_of
from penstock.pipelines.configuration.values import boolean, pairs

__all__ = ["file_schema", "job_schema"]

_DIALECT = "http://json-schema.org/draft-07/schema#"
"""The dialect that editors' YAML plugins know."""
_VARIABLE: dict[str, Any] = {"type": "string", "pattern": r"^$|\$\{[a-zA-Z_.][a-zA-Z0-9_.]*(:[^}]*)?\}"}
_ONLY_A_VARIABLE = r"^\$\{[a-zA-Z_.][a-zA-Z0-9_.]*\}$"
_SCALAR: dict[str, Any] = {"type": ["string", "number", "boolean"]}
_NOTHING: dict[str, Any] = {"type": "null"}
_TYPES: dict[Callable[[str], Any], str] = {int: "integer", float: "number", boolean: "boolean"}


def job_schema(job: str, declared: Iterable[Declared]) -> dict[str, Any]:
    """Gives the schema of a file with one job."""
    return {"$schema": _DIALECT, "title": f"penstock {job}", **_job(job, declared)}


def file_schema(jobs: Mapping[str, Iterable[Declared]]) -> dict[str, Any]:
    """Gives the schema of any file: with one job, or with several, and then what is shared beside them."""
    shared: dict[str, dict[str, Any]] = {}
    for declared in jobs.values():
        for group, options in _groups(declared).items():
            shared.setdefault(group, {}).update(options)
    own = [{"allOf": [{"$ref": f"#/definitions/{job}"}, {"required": ["job"]}]} for job in jobs]
    several = {
        "type": "object",
        "minProperties": 1,
        "properties": {job: {"anyOf": [{"$ref": f"#/definitions/{job}"}, *own, _NOTHING]} for job in jobs},
        "additionalProperties": {"anyOf": own},
    }
    groups = {group: _closed(options) for group, options in shared.items()}
    whole = _closed({"jobs": several, BEAM: _beam(), **groups})
    return {
        "$schema": _DIALECT,
        "title": "penstock run",
        "definitions": {job: _job(job, declared) for job, declared in jobs.items()},
        "anyOf": [{**whole, "required": ["jobs"]}, *own],
    }


def _job(job: str, declared: Iterable[Declared]) -> dict[str, Any]:
    titles = {group: options[0].title for group, options in groups_of(declared).items()}
    groups = {
        group: {"description": f"{titles[group]}.", **_closed(options)}
        for group, options in _groups(declared).items()
    }
    return {**_closed({"job": {"const": job}, BEAM: _beam(), **groups}), "type": "object"}


def _groups(declared: Iterable[Declared]) -> dict[str, dict[str, Any]]:
    """Gives the schemas of options, by their groups."""
    found: dict[str, dict[str, Any]] = {}
    for option in declared:
        if option.group == "config":
            continue
        to = found.setdefault(option.group, {})
        if option.secret:
            to[option.name] = {
                "description": f"{option.help} A secret: only ${{NAME}}, a variable of the environment.",
                "anyOf": [{"type": "string", "pattern": _ONLY_A_VARIABLE}, _NOTHING],
            }
            to[option.name + FILE_SUFFIX] = {
                "description": f"{option.help} The path of a file that holds it.",
                "type": ["string", "null"],
            }
        else:
            to[option.name] = _option(option)
    return found


def _option(option: Declared) -> dict[str, Any]:
    schema: dict[str, Any] = {"description": option.help}
    if option.default not in (None, "", [], {}):
        schema["default"] = option.default
    kind = _TYPES.get(option.convert)
    one: list[dict[str, Any]] = [_SCALAR] if kind is None else [{"type": kind}, _VARIABLE]
    if option.choices:
        one = [
            {"enum": [*option.choices, *map(yaml.safe_load, option.choices)]},
            _VARIABLE,
        ]  # 8, true, as YAML has them
    if option.convert is pairs:
        one = [{"type": "object", "additionalProperties": _SCALAR}, {"type": "string"}]
    if option.repeated:
        one = [*one, {"type": "array", "items": {"anyOf": one}}]
    return {**schema, "anyOf": [*one, _NOTHING]}


def _beam() -> dict[str, Any]:
    value = {"anyOf": [_SCALAR, _NOTHING, {"type": "array", "items": _SCALAR}]}
    return {"description": "Beam's own options.", "type": ["object", "null"], "additionalProperties": value}


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    """Gives the schema of a mapping with these names only, and `x-` names, which are for anchors."""
    hyphens = "|".join(name.replace("_", "[-_]") for name in properties if "_" in name)
    patterns: dict[str, Any] = {"^x[-_]": {}} | ({f"^({hyphens})$": {}} if hyphens else {})
    return {
        "type": ["object", "null"],
        "properties": properties,
        "patternProperties": patterns,
        "additionalProperties": False,
    }
