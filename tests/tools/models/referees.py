"""Joni, the engine of Logstash's expressions, and joda-time, which reads its dates: asked what they make of texts."""

import subprocess
from collections.abc import Iterable
from pathlib import Path

from local.servers.java import QUICK
from tests.tools.peers.emulators import _fetched

_JARS = (("org.jruby.joni", "joni", "2.2.1"), ("joda-time", "joda-time", "2.13.0"))
_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>penstock</groupId><artifactId>referees</artifactId><version>1</version><packaging>pom</packaging>
<dependencies>%s</dependencies></project>
"""
_PROGRAM = Path(__file__).parent / "java" / "Referee.java"


def ask(questions: Iterable[tuple[str, ...]]) -> list[str]:
    """The answers to `("regex", expression, text)` and `("date", pattern, text, zone)`: see Referee.java."""
    dependencies = "".join(
        f"<dependency><groupId>{group}</groupId><artifactId>{name}</artifactId><version>{version}</version></dependency>"
        for group, name, version in _JARS
    )
    command = ["mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib"]
    home = _fetched(f"referees-{_JARS[0][2]}", ("java", "mvn"), command, {"pom.xml": _POM % dependencies})
    lines = [
        "\t".join([kind, *(text.encode().hex() for text in texts[:2]), *texts[2:]])
        for kind, *texts in questions
    ]
    program = ["java", "-Xmx256m", "-XX:+UseSerialGC", *QUICK, "-cp", f"{home}/lib/*", str(_PROGRAM)]
    ran = subprocess.run(
        program, input="\n".join(lines) + "\n", capture_output=True, text=True, timeout=300, check=True
    )
    answers = ran.stdout.splitlines()
    assert len(answers) == len(lines), ran.stderr
    return answers
