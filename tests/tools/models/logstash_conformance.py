"""`logstash_conformance` holds a result against a conformance case (form: tests/unit/logstash/cases/README.md)."""

import copy
import json
import pathlib
import re

from penstock.transforms.logstash import ConfigError, compile_filters

CASES = pathlib.Path(__file__).parents[2] / "unit" / "logstash" / "cases"
MISSING = object()
UNTOLD = ("@timestamp", "@version", "tags")


def cases(name):
    return [json.loads(line) for line in (CASES / f"{name}.jsonl").read_text().splitlines()]


def keys(reference):
    return re.findall(r"\[([^\[\]]*)\]", reference)


def get(event, reference):
    value = event
    for key in keys(reference):
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and re.fullmatch(r"-?\d+", key) and -len(value) <= int(key) < len(value):
            value = value[int(key)]
        else:
            return MISSING
    return value


def same(got, want, *, loose=False):
    """Equal, integers and floats told apart; `loose` takes one for the other (Ruby's BigDecimal)."""
    if isinstance(want, bool) or isinstance(got, bool) or want is None or got is None:
        return got is want
    if isinstance(want, (int, float)) and isinstance(got, (int, float)):
        return got == want and (loose or type(got) is type(want))
    if isinstance(want, list):
        return (
            isinstance(got, list)
            and len(got) == len(want)
            and all(same(g, w, loose=loose) for g, w in zip(got, want, strict=True))
        )
    if isinstance(want, dict):
        return (
            isinstance(got, dict)
            and got.keys() == want.keys()
            and all(same(got[k], want[k], loose=loose) for k in want)
        )
    return type(got) is type(want) and got == want


def leaves(value, at=()):
    if isinstance(value, dict) and value and not any("[" in key or "]" in key for key in value):
        for key, inner in value.items():
            yield from leaves(inner, (*at, key))
    else:
        yield at, value


def wrong_fields(want, after, *, loose=False):
    for reference, value in want.get("fields", {}).items():
        got = get(after, reference)
        if got is MISSING or not same(got, value, loose=loose):
            yield f"{reference}: {'missing' if got is MISSING else repr(got)}, wanted {value!r}"
    for reference in want.get("absent", []):
        got = get(after, reference)
        if got is not MISSING and not (reference == "[tags]" and got == []):
            yield f"{reference}: {got!r}, wanted none"
    if "tags" in want and "[tags]" not in want.get("fields", {}):
        got = after.get("tags", [])
        if ("origin" not in want or want["tags"]) and got != want["tags"]:
            yield f"tags: {got!r}, wanted {want['tags']!r}"


def wrong_whole(want, after, random):
    """`fields` holds all fields at the top."""
    yield from wrong_fields(want, after)
    seen = {keys(reference)[0] for reference in want.get("fields", {})} | set(want.get("raw_top_level", {}))
    for reference in want.get("present", []):
        seen.add(keys(reference)[0])
        if get(after, reference) is MISSING:
            yield f"{reference}: missing"
    for key in after:
        if (
            key not in seen
            and key not in UNTOLD
            and key not in random
            and not (key == "@metadata" and not after[key])
        ):
            yield f"unexpected {key}: {after[key]!r}"


def wrong_changes(case, want, after):
    """`fields` holds what is new or changed; with `exact` nothing else is."""
    loose = "BigDecimal" in case["note"]
    yield from wrong_fields({**want, "origin": True}, after, loose=loose)
    if not want.get("exact"):
        return
    known = {tuple(keys(reference)) for reference in want["fields"]} | {(each,) for each in UNTOLD}
    before = dict(leaves(case["event"]))
    for path, value in leaves(after):
        if path not in known and path not in before and not (path == ("@metadata",) and not value):
            yield f"unexpected {path}: {value!r}"
    for path, value in before.items():
        reference = "".join(f"[{key}]" for key in path)
        if reference in want["absent"] or any(key[: len(path)] == path for key in known):
            continue
        got = get(after, reference)
        if got is MISSING or not same(got, value, loose=loose):
            yield f"changed {reference}: {got!r}, was {value!r}"


def differences(case, folder):
    """What differs between Logstash and us in this case, in words.

    Some cases name files/dict.yml: the folder of cases must be the working directory. `folder` takes a case's own files.
    """
    want, config = case["expect"], case["config"]
    if "files" in case and isinstance(case["files"], dict):
        config = config.replace("{{dir}}", str(folder))
        for name, text in case["files"].items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                path.mkdir(exist_ok=True)
            else:
                path.write_text(text)
    refused = want.get("error") and not want.get("crash")
    try:
        chain = compile_filters(
            config,
            env=case.get("env"),
            support_escapes=case.get("support_escapes", False),
            timezone=case.get("default_zone", "UTC"),
            now=case.get("now"),
        )
    except ConfigError as error:
        return [] if refused else [f"refused: {error}"]
    if refused:
        return ["not refused"]
    for event in case.get("prior", []):
        chain.apply(copy.deepcopy(event))
    results = []
    try:
        for event in case.get("events", [case.get("event")]):
            results += chain.apply(copy.deepcopy(event))
    except Exception as error:
        may_raise = want.get("crash") or want.get("condition_error")
        return [] if may_raise else [f"raised {type(error).__name__}: {error}"]
    if want.get("crash"):
        return ["no failure, though Logstash's own filter raises"]
    if want.get("dropped") or want.get("condition_error"):
        return ["not dropped"] if results else []
    wanted = want.get("events", [want])
    if len(results) != len(wanted):
        return [f"{len(results)} events, wanted {len(wanted)}"]
    if "origin" in case:
        return list(wrong_changes(case, want, results[0]))
    random = case.get("random", [])
    return [
        text
        for each, result in zip(wanted, results, strict=True)
        for text in wrong_whole(each, result, random)
    ]
