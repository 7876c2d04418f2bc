"""`bootstrap` makes the virtual environment `.venv` of this checkout and goes on in it. Standard library only.

A stamp tells that the environment is complete and belongs to this pyproject.toml, these kernels' sources, this
Python and this place: the second run installs nothing. A demonstration needs less than the tests do, so the stamp
says for which of them it is. A file lock lets one of several runs install.
"""

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
STAMP = VENV / "penstock.stamp"
LOG = ROOT / ".venv-install.log"


def stamp() -> str:
    """What the environment depends on, as one hash."""
    parts = [str(ROOT), str(sys.version_info[:2])]
    folders = (ROOT / "io", ROOT / "transforms")
    kernels = sorted(path for folder in folders for path in folder.rglob("_native_*.[ch]"))
    parts += [path.read_text() for path in (ROOT / "pyproject.toml", ROOT / "setup.py", *kernels)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def stamped() -> tuple[str, str]:
    """For what the environment is complete, `demo` or `dev` (which has both), and its stamp."""
    try:
        extra, _, found = STAMP.read_text().partition(" ")
    except OSError:
        return "", ""
    return extra, found


def complete(extra: str) -> bool:
    """Whether the environment is there and fits, with what an extra of pyproject.toml names."""
    kind, found = stamped()
    return (VENV / "bin" / "python").exists() and kind in (extra, "dev") and found == stamp()


def install(extra: str) -> None:
    """Makes the environment (again, when it is of another Python) and installs the checkout into it."""
    if stamped()[0] == "dev":
        extra = "dev"  # who has run the tests will run them again
    STAMP.unlink(missing_ok=True)
    size = {"demo": 150, "dev": 250}[extra]
    print(f"setting up the virtual environment .venv (once; some {size} MB of packages)", flush=True)
    run([sys.executable, "-m", "venv", *([] if reusable() else ["--clear"]), str(VENV)])
    pip = [str(VENV / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install"]
    run([*pip, "--progress-bar", "off", "-e", f"{ROOT}[{extra}]"])
    STAMP.write_text(f"{extra} {stamp()}")


def reusable() -> bool:
    """Whether an environment that is there, if any, is of our Python version and was made at this place."""
    try:
        lines = (VENV / "pyvenv.cfg").read_text().splitlines()
    except OSError:
        return True
    version = ".".join(map(str, sys.version_info[:2]))
    return any(line.startswith(f"version = {version}.") for line in lines) and any(
        line.startswith("command = ") and line.endswith(str(VENV)) for line in lines
    )


def run(command: list[str]) -> None:
    """Runs a step with its output in the log, and its latest line on the terminal."""
    live = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns - 1
    said = started = time.monotonic()
    with LOG.open("a") as log:
        step = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT
        )
        try:
            assert step.stdout is not None
            for line in step.stdout:
                log.write(line)
                if live:
                    print(f"\r\x1b[K  {line.strip()}"[: width + 4], end="", flush=True)
                elif time.monotonic() - said > 10:
                    said = time.monotonic()
                    print(f"  ... {said - started:.0f} s: {line.strip()[:100]}", flush=True)
        except BaseException:
            step.kill()
            raise
    if live:
        print("\r\x1b[K", end="", flush=True)
    if step.wait():
        tail = "".join(f"  | {line}\n" for line in LOG.read_text().splitlines()[-15:])
        hint = " On Debian: apt-get install python3-venv." if "venv" in command else " Is the network there?"
        sys.exit(f"run_local.sh: setting up .venv failed.{hint} The end of {LOG}:\n{tail.rstrip()}")


def begin_download(arguments: list[str]) -> subprocess.Popen[bytes] | None:
    """Begins to fetch a demonstration's search server while the packages are installed; half of both is waiting.

    Whoever needs the server waits for it, or fetches it again and says what is wrong.
    """
    if "test" in arguments[:1] or os.environ.get("ELASTICSEARCH_HOSTS"):
        return None
    program = [sys.executable, "-P", str(ROOT / "local" / "__main__.py"), "fetch"]
    return subprocess.Popen([*program, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def needs_no_packages(arguments: list[str]) -> bool:
    """Whether the command only tells something, or ends what another one started: nothing is installed for that."""
    return arguments[:1] in (["down"], ["status"]) or any(
        each in ("-h", "--help", "help") for each in arguments[:2]
    )


def main() -> None:
    """Installs if needed, then becomes `local/__main__.py` in the environment's Python."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what runs beside us ends too
    extra = "dev" if sys.argv[1:2] == ["test"] else "demo"
    if needs_no_packages(sys.argv[1:]) and not complete(extra):
        python = VENV / "bin" / "python"
        if sys.argv[1] in ("down", "status") and not python.exists():
            print("run_local.sh: nothing runs; nothing was ever started from here")
            return
        # With the environment that there is, an older one too, or none.
        start(str(python) if python.exists() else sys.executable)
    if not complete(extra):
        with (ROOT / ".venv.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not complete(extra):
                LOG.unlink(missing_ok=True)
                download = begin_download(sys.argv[1:])
                try:
                    install(extra)
                except BaseException:
                    if download:
                        download.terminate()
                        download.wait()
                    raise
    start(str(VENV / "bin" / "python"))


def start(python: str) -> NoReturn:
    """Becomes `local/__main__.py` in that Python."""
    os.execv(python, [python, "-P", str(ROOT / "local" / "__main__.py"), *sys.argv[1:]])


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
