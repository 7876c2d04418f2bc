"""`command` reads the command line of `run_local.sh`."""

import argparse
import sys
from pathlib import Path
from typing import NoReturn

from local.processes import LocalError, clean_up_on_signals, end_all
from local.terminal import Progress

__all__ = ["main"]

PRODUCTS = ("elasticsearch", "opensearch")
"""The search servers of a demonstration, the usual one first."""
COMMANDS = ("demo", "fetch", "flink", "logstash", "up", "down", "status", "test")

HELP = """\
usage: ./run_local.sh [--lines N] [--filebeat] [--server opensearch] [FILE ...]
                                               ship log lines through both jobs, show what arrived
       ./run_local.sh up [--server opensearch] start servers and jobs, and leave them running
       ./run_local.sh flink [as above]         the same, with both jobs on a Flink cluster
       ./run_local.sh flink up                 that, left running
       ./run_local.sh logstash [FILE ...]      run logstash.conf files on local servers, until Ctrl-C
       ./run_local.sh status                   what of that runs
       ./run_local.sh down                     end all of it; its data go with it
       ./run_local.sh test [--fast | --full | PYTEST ARGUMENT ...]

The first run sets everything up: a virtual environment in .venv (150 MB of packages), and a real Elasticsearch 8.19
in the cache (115 MB to download; with --server opensearch an OpenSearch 3.9, 78 MB, or 2.19 where no JDK is newer
than 20). It needs Python 3.11 to 3.13, a JDK 17 or newer, Maven for that download, and 1.5 GB of disk; what is missing
is named, with the way to get it.

Without FILEs the newest text logs of this machine under /var/log are shipped, 100,000 lines at most (--lines
says otherwise), and a sample where none can be read. A filebeat on the PATH ships them, else a small Beats
client of our own. With --filebeat it is a real Filebeat in any case: where there is none, Filebeat 7.17 is built
from its sources, once (Go 1.21 or newer, a few minutes, 1.5 GB of disk meanwhile). The way of a line:

  file -> Beats connection -> beats-to-kinesis -> Kinesis (moto) -> kinesis-to-elasticsearch -> Elasticsearch

Exit code 0: every line shipped is in Elasticsearch exactly once. Whatever was started is ended again, on Ctrl-C
too; only `up` leaves it running, and prints how to point Filebeat and a browser at it.

flink brings a Flink 1.19 up from packages (230 MB from PyPI, 300 MB from Maven Central, 280 MB to keep; a JDK 17 or
newer): job manager, two task managers, Beam's job server and a pool of Python workers, all on 127.0.0.1. It submits
both jobs as `--runner PortableRunner` does, and prints the address of Flink's page.

logstash runs a job for each FILE (penstock logstash -f FILE), unchanged, with an Elasticsearch on port 9200 and an
emulator of AWS; without FILEs the two in examples/logstash. Beats are welcome on port 5044 of 127.0.0.1. A port that
is taken is named.

test runs ruff, mypy and the unit tests beside those with real servers; the first time it fetches packages of 100 MB more
and Elasticsearch 9.4 (947 MB, a JDK 21). --fast leaves the servers out (3 minutes), --full adds what takes long; where
CI is set, the unit tests run on each supported Python and without kernels too. Given pytest's arguments, only pytest
runs, with them (./run_local.sh test tests/unit -x).

Environment:
  PENSTOCK_CACHE       where downloads and server data live (default: penstock in your cache folder,
                       for root /var/cache/penstock, because Elasticsearch runs as another user then)
  ELASTICSEARCH_HOSTS  a server that is used instead of our own, if it answers: http://127.0.0.1:9200
  ES_JAVA_HOME         a JDK, where it isn't found by itself
  PYTHON               the Python for .venv
"""


def main() -> int:
    """Runs the command line; returns its exit code (2 for a wrong one, 130 after Ctrl-C)."""
    arguments = sys.argv[1:]
    if any(each in ("-h", "--help", "help") for each in arguments[:2]):
        sys.stdout.write(HELP)
        return 0
    command = arguments.pop(0) if arguments and arguments[0] in COMMANDS else "demo"
    clean_up_on_signals()
    progress = Progress()
    try:
        if command == "fetch":  # by bootstrap
            from local.servers.search.fetch import find_search_server, smallest

            find_search_server(smallest(_server_of(arguments)), progress)
            return 0
        if command == "test":
            from local import test_command

            return test_command.run(arguments)
        if command == "logstash":
            from local.demo import logstash_files

            return logstash_files.run([Path(each) for each in arguments], progress)
        on_flink = command == "flink"
        if on_flink and arguments[:1] == ["up"]:
            command = arguments.pop(0)
        if command in ("demo", "flink", "up"):
            return _demo(arguments, progress, on_flink=on_flink, stays=command == "up")
        if arguments:
            sys.stderr.write(f"run_local.sh {command}: takes no arguments (see --help)\n")
            return 2
        from local.demo import background

        return {"down": background.down, "status": background.status}[command](progress)
    except LocalError as error:
        progress.fail()
        sys.stderr.write(f"run_local.sh: {error}\n")
        return 1
    except KeyboardInterrupt:
        progress.fail()
        end_all()
        sys.stderr.write("run_local.sh: interrupted; everything it started is ended\n")
        return 130
    finally:
        end_all()


def _server_of(arguments: list[str]) -> str:
    parser = _Parser(add_help=False)
    parser.add_argument("--server", choices=PRODUCTS, default=PRODUCTS[0])
    return str(parser.parse_known_args(arguments)[0].server)


def _demo(arguments: list[str], progress: Progress, *, on_flink: bool, stays: bool) -> int:
    parser = _Parser(prog="run_local.sh", add_help=False)
    parser.add_argument("--server", choices=PRODUCTS, default=PRODUCTS[0])
    if not stays:
        parser.add_argument("--lines", type=int, default=None)
        parser.add_argument("--filebeat", action="store_true")
        parser.add_argument("files", nargs="*", type=Path)
    given = parser.parse_args(arguments)
    if stays:
        from local.demo import background

        return background.up(progress, on_flink=on_flink, product=given.server)
    if given.lines is not None and given.lines < 1:
        _wrong("--lines must be at least 1")
    for path in given.files:
        if not path.is_file():
            _wrong(f"{path} is not a file (see --help)")

    from local.demo import demonstration as demo

    return demo.run(
        given.files,
        given.lines,
        progress,
        on_flink=on_flink,
        build_filebeat=given.filebeat,
        product=given.server,
    )


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        _wrong(message)


def _wrong(message: str) -> NoReturn:
    sys.stderr.write(f"run_local.sh: {message}\n")
    sys.exit(2)
