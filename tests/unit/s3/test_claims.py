"""Units that processes share: each goes to one of them, whatever they do at the same time."""

import contextlib
import stat
import subprocess
import sys

from penstock.io.s3.origin import S3Object, WorkUnit
from penstock.io.s3.units.claims import Claims

TAKE_ALL = """
import sys
from penstock.io.s3.units.claims import Claims

claims = Claims(sys.argv[1])
while (unit := claims.take()) is not None:
    print(unit.number)
"""


def units(count):
    return [WorkUnit(S3Object("b", f"{n}", 10, "e", 0), n, count, n, n + 1, "lines") for n in range(count)]


def take_all(path):
    taken = []
    with contextlib.closing(Claims(str(path))) as claims:
        while (unit := claims.take()) is not None:
            taken.append(unit)
    return taken


def test_one_process_gets_them_all_in_order(tmp_path):
    assert Claims.write(tmp_path / "claims", units(20)) == 20
    assert take_all(tmp_path / "claims") == units(20)
    assert take_all(tmp_path / "claims") == []


def test_nobody_else_may_read_them(tmp_path):
    Claims.write(tmp_path / "claims", units(1))
    assert stat.S_IMODE((tmp_path / "claims").stat().st_mode) == 0o600


def test_of_several_processes_each_unit_goes_to_one(tmp_path):
    Claims.write(tmp_path / "claims", units(3000))
    command = [sys.executable, "-P", "-c", TAKE_ALL, str(tmp_path / "claims")]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    taken = [[int(number) for number in process.communicate()[0].split()] for process in processes]
    assert sorted(number for each in taken for number in each) == list(range(3000))
    assert all(each == sorted(each) for each in taken)


def test_a_file_without_units_has_none(tmp_path):
    assert Claims.write(tmp_path / "claims", iter(())) == 0
    assert take_all(tmp_path / "claims") == []
