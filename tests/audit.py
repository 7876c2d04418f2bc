"""Looks the installed dependencies up in a database of known vulnerabilities, with pip-audit.

usage: audit.py [--require]

pip-audit asks the package index over the network (with AUDIT_SERVICE=osv, that database). Where it can't, it reports
"no known vulnerabilities" and skips every package: here that is NOT AUDITED, said aloud as the last line, and with
--require (or AUDIT=require) a failure.
Exit codes: 0 nothing known (or nobody to ask), 1 something is known, or nothing was asked though it was required.
"""

import importlib.util
import json
import os
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any

TIMEOUT_S = 300


def main(arguments: list[str]) -> int:
    required = "--require" in arguments or os.environ.get("AUDIT") == "require"
    if importlib.util.find_spec("pip_audit") is None:
        return not_audited("pip-audit is not installed (it is in the extra `dev`)", required)
    packages = closure("penstock-beam")
    service = os.environ.get("AUDIT_SERVICE", "pypi")
    asked, vulnerable, why = ask(service, packages)
    if vulnerable:
        print(f"dependencies: VULNERABLE: {'; '.join(vulnerable)}")
        return 1
    if asked == len(packages):
        print(f"dependencies: {asked} audited by {service}, no known vulnerabilities")
        return 0
    return not_audited(f"{service} knows {asked} of {len(packages)} packages: {why}", required)


def not_audited(why: str, required: bool) -> int:
    print(f"dependencies: NOT AUDITED: {why}")
    return 1 if required else 0


def closure(name: str) -> dict[str, str]:
    """The versions of all packages that a package brings here, itself left out."""
    found: dict[str, str] = {}
    left = [name]
    while left:
        for text in requires(left.pop()) or []:
            specifier, _, marker = text.partition(";")
            needed = re.split(r"[\s<>=!~\[(]", specifier.strip(), maxsplit=1)[0]
            if "extra" in marker or needed in found:
                continue
            try:
                found[needed] = version(needed)
            except PackageNotFoundError:
                continue  # for another platform or Python
            left.append(needed)
    found.pop(name, None)
    return found


def ask(service: str, packages: dict[str, str]) -> tuple[int, list[str], str]:
    """How many packages the service knows, the vulnerable ones, and why it doesn't know more."""
    listed = "".join(f"{name}=={number}\n" for name, number in sorted(packages.items()))
    command = [
        *(sys.executable, "-P", "-m", "pip_audit", "--format", "json", "--progress-spinner", "off"),
        *("--vulnerability-service", service, "--no-deps", "--disable-pip", "--requirement", "/dev/stdin"),
    ]
    try:
        ran = subprocess.run(
            command, input=listed, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return 0, [], f"no answer in {TIMEOUT_S} s"
    try:
        dependencies = json.loads(ran.stdout)["dependencies"]
    except (ValueError, KeyError):
        return 0, [], (ran.stderr.strip().splitlines() or ["it said nothing"])[-1][:120]
    return read(dependencies)


def read(dependencies: list[dict[str, Any]]) -> tuple[int, list[str], str]:
    """Likewise, from what pip-audit wrote."""
    known = [each for each in dependencies if "skip_reason" not in each]
    skipped = [str(each["skip_reason"]) for each in dependencies if "skip_reason" in each]
    vulnerable = [
        f"{each['name']} {each['version']}: {', '.join(flaw['id'] for flaw in each['vulns'])}"
        for each in known
        if each.get("vulns")
    ]
    return len(known), vulnerable, skipped[0] if skipped else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
