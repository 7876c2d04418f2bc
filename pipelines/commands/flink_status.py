"""`penstock status --flink ADDRESS [JOB]` shows the jobs of a Flink cluster, and stops one with a savepoint.

A line per job: its state, its tasks, how far it is, and why Flink last started it again. JOB is an id, the beginning of one,
or a name. To rescale a job, stop it, and submit it with the savepoint and another --parallelism.
Exit codes: 0 all that is shown runs or has ended well, 1 something doesn't, or could not be asked; 2 wrong arguments.
"""

import argparse
import sys
import threading
import time
from collections.abc import Sequence

from penstock.io.errors import NotFound, PeerError, PenstockError
from penstock.pipelines.console.logs import LogOptions, printable, set_up_logging
from penstock.pipelines.run.remote.flink import ENDED, FlinkCluster, FlinkJob, address_of
from penstock.pipelines.run.remote.flink_progress import look
from penstock.pipelines.run.remote.telling import tell

__all__ = ["main"]

_PATIENCE_S = 120.0
_LOOK_S = 0.5
_PROGRESS_S = 10.0
_WELL = ("FINISHED", "CANCELED", "SUSPENDED")


def main(argv: Sequence[str]) -> int:
    """Runs the command and returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="penstock status",
        description=__doc__.partition("\n\n")[2],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("job", nargs="?", metavar="JOB", help="only this one")
    parser.add_argument("--flink", required=True, metavar="ADDRESS", help="HOST:PORT of Flink's REST API")
    parser.add_argument("--all", action="store_true", help="also jobs that have ended")
    parser.add_argument(
        "--stop", nargs="?", const="", metavar="FOLDER",
        help="stop JOB with a savepoint, in FOLDER or where the cluster keeps them; prints how to resume it",
    )  # fmt: skip
    parser.add_argument(
        "--follow", action="store_true",
        help="tell of JOB, until it ends or Ctrl-C, how far it is, and when and why Flink starts it again",
    )  # fmt: skip
    given = parser.parse_args(list(argv))
    if (given.stop is not None or given.follow) and given.job is None:
        parser.error("--stop and --follow need a JOB")
    cluster = FlinkCluster(address_of(given.flink))
    try:
        if given.stop is not None:
            return _stop(cluster, _one(cluster, given.job), given.stop or None)
        if given.follow:
            return _follow(cluster, _one(cluster, given.job))
        return _show(cluster, given.job, ended=given.all)
    except PenstockError as error:
        sys.stderr.write(f"penstock status: {error}\n")
        return error.exit_code


def _show(cluster: FlinkCluster, wanted: str | None, *, ended: bool) -> int:
    overview = cluster.overview()
    sys.stdout.write(
        f"Flink {overview.get('flink-version', '?')} at {cluster.url}: {overview.get('slots-available', 0)} of "
        f"{overview.get('slots-total', 0)} slots free\n"
    )
    jobs = [_one(cluster, wanted)] if wanted else cluster.jobs()
    well = True
    for job in jobs:
        if not wanted and not ended and job.state in ENDED:
            continue
        well = well and (job.runs or job.state in _WELL)
        tasks = ", ".join(f"{count} {state.lower()}" for state, count in job.tasks.items() if count)
        sys.stdout.write(f"{job.id}  {job.state:10}  {printable(job.name)}  ({tasks or 'no tasks'})\n")
        if job.state == "RUNNING":
            sys.stdout.write(f"  {look(cluster, job.id).describe()}\n")
        for at, cause in cluster.failures(job.id)[:1]:
            when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at / 1000))
            sys.stdout.write(f"  {when}: {printable(cause)}\n")
    return 0 if well else 1


def _one(cluster: FlinkCluster, wanted: str) -> FlinkJob:
    """Gives the newest job of that name or id, first among those that have not ended."""
    found = [job for job in cluster.jobs() if job.id.startswith(wanted) or job.name == wanted]
    if not found:
        message = f"Flink at {cluster.url} knows no job {wanted}. Without JOB all are shown."
        raise NotFound(message)
    return min(found, key=lambda job: job.state in ENDED)


def _follow(cluster: FlinkCluster, job: FlinkJob) -> int:
    set_up_logging(LogOptions())
    try:
        state = tell(cluster, job.id, printable(job.name), threading.Event().wait, progress_s=_PROGRESS_S)
    except KeyboardInterrupt:
        return 0
    return 0 if state in _WELL else 1


def _stop(cluster: FlinkCluster, job: FlinkJob, folder: str | None) -> int:
    request = cluster.stop(job.id, folder)
    deadline = time.monotonic() + _PATIENCE_S
    while not (place := cluster.savepoint(job.id, request)):
        if time.monotonic() >= deadline:
            message = (
                f"{job.name} ({job.id}) has no savepoint after {_PATIENCE_S:g} s; look at its checkpoints."
            )
            raise PeerError(message)
        time.sleep(_LOOK_S)
    sys.stdout.write(f"{job.name} ({job.id}) is stopped. Resume it with --savepoint_path={place}\n")
    return 0
