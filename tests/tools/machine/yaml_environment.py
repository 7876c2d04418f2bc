"""An environment with the extra `yaml`, which the one that runs the tests has not: pandas slows every start of Beam.

It borrows the packages that are there already and installs the few that lack; once a run, for all its workers.
"""

import fcntl
import subprocess
import sys
import sysconfig
from importlib.metadata import version
from pathlib import Path

from tests.servers import run_folder


def yaml_python() -> Path:
    """The environment's Python."""
    folder = run_folder() / "yaml"
    python = folder / "bin" / "python"
    with (run_folder() / "yaml.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "ready").exists():
            _run(sys.executable, "-m", "venv", "--without-pip", folder)
            site = Path(_run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
            borrowed = sysconfig.get_path("purelib")
            # Not a plain path: the .pth files in there, an editable penstock's among them, are to be read too.
            (site / "borrowed.pth").write_text(f"import site; site.addsitedir({borrowed!r})\n")
            packages = f"apache-beam[yaml]=={version('apache-beam')}"
            _run(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", packages)
            (folder / "ready").touch()
    return python


def _run(*command: object) -> str:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
