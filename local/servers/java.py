"""`java` finds what the servers in Java need on this machine: a JDK, and Maven to fetch them."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

__all__ = ["MINIMUM_JAVA", "QUICK", "find_java_home", "find_maven", "java_version"]

MINIMUM_JAVA = 21
QUICK = ("-XX:TieredStopAtLevel=1", "-XX:+UnlockDiagnosticVMOptions", "-XX:-BytecodeVerificationRemote")
"""For a Java that lives for minutes. Its first compiler only: a start of Elasticsearch takes 14 CPU-s instead of 22, and a
short load is cheaper too. And it takes the bytecode of released jars for sound: OpenSearch, Flink and Elasticsearch's tools
start for a tenth to a fourth less.
"""


def _candidates() -> Iterator[Path]:
    for variable in ("ES_JAVA_HOME", "JAVA_HOME"):
        if os.environ.get(variable):
            yield Path(os.environ[variable])
    on_path = shutil.which("java")
    if on_path:
        yield Path(on_path).resolve().parent.parent
    homes = [*Path("/usr/lib/jvm").glob("*"), *Path("/opt").glob("*jdk*"), *Path("/opt").glob("*java*")]
    homes += Path("/Library/Java/JavaVirtualMachines").glob("*/Contents/Home")
    homes += Path("/opt/homebrew/opt").glob("openjdk*")
    yield from sorted(homes, key=lambda home: java_version(home) or 0, reverse=True)


def java_version(home: Path) -> int | None:
    """The feature version (21, 25) of the Java in a folder, None when there is none."""
    if not os.access(home / "bin" / "java", os.X_OK):
        return None
    try:
        text = (home / "release").read_text()
    except OSError:
        command = [str(home / "bin" / "java"), "-version"]
        try:
            text = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30).stderr
        except (OSError, subprocess.TimeoutExpired):
            return None
    found = re.search(r'(?:JAVA_VERSION=|version )"(?:1\.)?(\d+)', text)
    return int(found[1]) if found else None


def find_java_home(minimum: int = MINIMUM_JAVA, newest: int = 99) -> tuple[Path | None, list[str]]:
    """The first Java of such a version, and what else was found (`/usr (17)`), for a message."""
    others: list[str] = []
    for home in _candidates():
        version = java_version(home)
        if version is not None and minimum <= version <= newest:
            return home, others
        if version is not None and f"{home} ({version})" not in others:
            others.append(f"{home} ({version})")
    return None, others


def find_maven() -> str | None:
    """Maven's program, if there is one."""
    return shutil.which("mvn")
