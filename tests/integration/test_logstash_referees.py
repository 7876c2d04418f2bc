"""Our expressions and dates against those that Logstash runs: Joni and joda-time, on texts made by chance.

The seed is fixed: what differs can be looked at again. Known differences are left out where they are made.
"""

import datetime
import random
import re

import pytest

from penstock.transforms.logstash.filters.parse._date_names import ENGLISH
from penstock.transforms.logstash.filters.parse._date_parsers import parser_of
from penstock.transforms.logstash.filters.parse._joda import zone_of
from penstock.transforms.logstash.filters.patterns import pattern_set
from penstock.transforms.logstash.filters.patterns._expand import expand
from penstock.transforms.logstash.language.ruby._oniguruma import (
    RubyRegexError,
    compile_translation,
    translate,
)
from penstock.transforms.logstash.values.event import Timestamp
from tests.tools.models.logstash_conformance import cases
from tests.tools.models.referees import ask

pytestmark = pytest.mark.servers

ATOMS = [
    *("a", "b", ".", r"\w", r"\d", r"\s", r"\h", r"\W", r"\S", r"\D", r"\R", "[ab]", "[^a]", r"[\w-]", "[[:alpha:]_]"),
    *("[[:digit:]]", "[[:punct:]]", "[[:space:]]", "[[:^alpha:]]", "[[:word:]]", "[[:alnum:]]", "[a-c&&[^b]]", "[]a]"),
    *("[^]a]", "[[a]b]", r"[\h.]", r"[\d\-x]", r'[^\s"]', r"\p{Lu}", r"\p{Alpha}", r"\.", "-", "é", r"\n", "{", "}", " "),
    *('"', "1", "_", r"\x41", r"\b", r"\B", "^", "$", r"\A", r"\z", r"\Z"),
]  # fmt: skip
ANCHORS = {r"\b", r"\B", "^", "$", r"\A", r"\z", r"\Z"}
REPEATS = [
    "",
    "",
    "",
    "",
    "?",
    "*",
    "+",
    "??",
    "*?",
    "+?",
    "?+",
    "*+",
    "++",
    "{1,2}",
    "{2}",
    "{,2}",
    "{1,}",
    "{2}?",
]
GROUPS = ["(", "(?:", "(?<x>", "(?<y>", "(?>", "(?=", "(?!", "(?m:", "(?-m:", "(?<z:z>"]
EXTRAS = ["(?i)a", "(?m)", "(?<=a)", "(?<!b)", "(?<=a|bc)", "(?#c)"]


def expression(chance, depth=0):
    alternatives = []
    for _ in range(chance.choice([1, 1, 1, 2])):
        text = ""
        for _ in range(chance.randint(1, 4)):
            pick = chance.random()
            if depth < 3 and pick < 0.25:
                group = chance.choice(GROUPS)
                repeat = "" if group in ("(?=", "(?!") else chance.choice(REPEATS)
                text += f"{group}{expression(chance, depth + 1)}){repeat}"
            elif pick < 0.29:
                text += chance.choice(EXTRAS)
            else:
                atom = chance.choice(ATOMS)
                text += atom + ("" if atom in ANCHORS else chance.choice(REPEATS))
        alternatives.append(text)
    return "|".join(alternatives)


def found_by_us(pattern, text):
    """As the referee says it: the match, then every named group."""
    try:
        translated = translate(pattern, dot_all=True)
        match = compile_translation(translated, dot_all=True).search(text, timeout=10)
    except RubyRegexError:
        return "error"
    if match is None:
        return "none"
    groups = [
        f"{index}-" if match[index] is None else f"{index}={match[index].encode().hex()}"
        for _, index in translated.groups
    ]
    return [f"={match[0].encode().hex()}", *sorted(groups)]


def differences(questions):
    """Where Joni and we differ; an expression that it refuses may be taken by us."""
    for (_, pattern, text), answer in zip(questions, ask(questions), strict=True):
        if answer == "error":
            continue
        first, *groups = answer.split(" ")
        theirs = answer if answer == "none" else [first, *sorted(groups)]
        ours = found_by_us(pattern, text)
        if ours != theirs:
            yield pattern, text, theirs, ours


def test_any_expression_finds_what_joni_finds():
    chance = random.Random(2)
    letters = 'aabbc A1_é-. "\n{}]Bx2\t'
    questions = [
        ("regex", made, "".join(chance.choices(letters, k=chance.randint(0, 12))))
        for made in (expression(chance) for _ in range(1500))
        for _ in range(3)
    ]
    wrong = list(differences(questions))
    assert len(wrong) <= len(questions) // 1000, wrong  # a repetition of what may be empty, now and then


def test_every_shipped_pattern_finds_what_joni_finds():
    chance = random.Random(3)
    lines = [
        case["event"]["message"]
        for case in cases("patterns-core") + cases("grok")
        if "message" in case["event"]
    ]
    lines = [line for line in lines if isinstance(line, str) and line]
    questions = []
    for patterns in (pattern_set(ecs=False), pattern_set(ecs=True)):
        for name in patterns:
            pattern = expand(f"%{{{name}}}", patterns)
            for _ in range(2):
                line = chance.choice(lines)
                cut = chance.randrange(len(line))
                if chance.random() < 0.5:
                    line = (
                        line[:cut] + chance.choice(["", " ", "1", "a", ".", '"', "-", ":"]) + line[cut + 1 :]
                    )
                questions.append(("regex", pattern, line[:150]))
    assert list(differences(questions)) == []


LETTERS = [
    *("yyyy", "yy", "y", "YYYY", "MM", "M", "MMM", "MMMM", "dd", "d", "HH", "H", "hh", "h", "KK", "kk", "k", "mm", "m"),
    *("ss", "s", "SSS", "S", "SSSSSS", "a", "EEE", "EEEE", "E", "DDD", "D", "ww", "w", "e", "Z", "ZZ", "ZZZ", "z", "G"),
]  # fmt: skip
USUAL = [
    "yyyy-MM-dd HH:mm:ss", "dd/MMM/yyyy:HH:mm:ss Z", "MMM dd yyyy HH:mm:ss.SSS", "yyyyMMddHHmmss", "yyyy-DDD",
    "yyyy-MM-dd'T'HH:mm:ss.SSSZZ", "EEE MMM d HH:mm:ss z yyyy", "EEEE, dd-MMM-yy HH:mm:ss", "hh:mm:ss a yyyy/M/d",
]  # fmt: skip
ISO = [
    "%Y-%m-%dT%H:%M:%S.123Z", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d", "%Y", "%Y-%m", "%G-W%V-%u", "%Y-%j", "%Y-%m-%dT%H",
    "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S+02:00", "%Y-%m-%dT%H.25", "T%H:%M", "%Y-%m-%d %H:%M:%S.5", "%YT%H",
    "%Y-%m-%d %H:%M:%S,123+0100", "%Y-%m-%dT%H:%M.5Z",
]  # fmt: skip


def pattern_and_text(chance):
    """A pattern, and a text that it nearly fits."""
    moment = datetime.datetime.fromisoformat(f"{chance.choice([1970, 1999, 2001, 2024, 2026])}-01-01")
    moment += datetime.timedelta(seconds=chance.randrange(365 * 86400))
    if chance.random() < 0.2:
        pattern, text = "ISO8601", moment.strftime(chance.choice(ISO))
    else:
        separators = [" ", "-", ":", "/", ".", ",", "", "'T'", "''"]
        pattern = (
            chance.choice(USUAL)
            if chance.random() < 0.5
            else "y"
            + "".join(chance.choice(separators) + chance.choice(LETTERS) for _ in range(chance.randint(1, 5)))
        )
        text = written(pattern, moment, chance)
    changes = [
        str,
        str.upper,
        str.lower,
        lambda text: text[:-1],
        lambda text: text + "0",
        lambda text: f" {text}",
    ]
    return pattern, chance.choice([str] * 10 + changes)(text)


def written(pattern, moment, chance):
    parts = {
        "y": str(moment.year), "Y": str(moment.year), "d": str(moment.day), "H": str(moment.hour),
        "h": str(moment.hour % 12 or 12), "K": str(moment.hour % 12), "k": str(moment.hour or 24),
        "m": str(moment.minute), "s": str(moment.second), "a": moment.strftime("%p"), "e": str(moment.isoweekday()),
        "E": moment.strftime(chance.choice(["%a", "%A"])), "D": str(moment.timetuple().tm_yday),
        "w": str(moment.isocalendar().week), "Z": chance.choice(["+0200", "-08:00", "Z", "+01", "UTC", "CET", "EST"]),
        "z": chance.choice(["UTC", "PST", "EDT", "GMT", "CET"]), "G": "AD", "S": "1234567",
    }  # fmt: skip

    def part(found):
        text, letter = found[0], found[0][0]
        if letter == "'":
            return text.strip("'") or "'"
        if letter == "M":
            return moment.strftime("%b") if len(text) > 2 else str(moment.month).zfill(len(text))
        if letter == "S":
            return parts["S"][: chance.randint(1, len(text))]
        if letter in "yY" and len(text) == 2:
            return parts[letter][2:]
        return (
            parts[letter].zfill(len(text))
            if parts[letter].isdigit() and chance.random() < 0.8
            else parts[letter]
        )

    return re.sub(r"'[^']*'|([A-Za-z])\1*", part, pattern)


def says_two_years(pattern):
    """Years of two kinds: nobody writes such a pattern, and joda-time's answer hangs on the order of its fields."""
    runs = re.findall(r"([yYxCG])\1*", re.sub(r"'[^']*'", "", pattern))
    return len(runs) > 1 or (runs == ["x"] and re.search("[MdD]", pattern))


def test_any_date_is_read_as_joda_time_reads_it():
    chance = random.Random(4)
    zones = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"]
    questions = [("date", *pattern_and_text(chance), chance.choice(zones)) for _ in range(5000)]
    questions = [question for question in questions if not says_two_years(question[1])]
    now = Timestamp(datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")[:23] + "Z")
    epoch = datetime.datetime.fromisoformat("1970-01-01")
    wrong, read = [], 0
    for (_, pattern, text, zone), theirs in zip(questions, ask(questions), strict=True):
        parse = parser_of(pattern, ENGLISH, lambda: now, datetime.UTC)
        try:
            ours = str((parse(text, zone_of(zone)) - epoch) // datetime.timedelta(milliseconds=1))
        except (ValueError, OverflowError):
            ours = "none"
        read += ours != "none"
        if ours != theirs and not (
            ours == "none" and theirs != "none" and not 0 < int(theirs) + 62135596800000 < 315537897600000
        ):
            wrong.append((pattern, text, zone, theirs, ours))
    assert not wrong, "\n".join(map(str, wrong))
    assert read > 1000
