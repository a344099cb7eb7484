"""on_workers itself: it answers, and it notices a hang, a death, an exception and each kind of leak."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import MARK, leaked, segments

ROOT = Path(__file__).parents[1]


def square_of_rank(rank, world):
    return world, rank**2


def test_answers_come_in_order_of_rank(on_workers):
    assert on_workers(square_of_rank, world=3) == [(3, 0), (3, 1), (3, 4)]


BROKEN = """
import os, subprocess, sys, time, warnings

def hang(rank, world):
    if rank == 1:
        wait_for_godot()

def wait_for_godot():
    time.sleep(100)

def die(rank, world):
    os._exit(3 + rank)

def fail(rank, world):
    assert rank == 0, "rank one is not zero"

def warn(rank, world):
    warnings.warn("careful")

def stay(rank, world):
    import threading
    threading.Thread(target=time.sleep, args=(100,)).start()

def start(rank, world):
    start.kept = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])

def leave(rank, world):
    open("/dev/shm/nbgrad-left-by-test", "w").close()

def test_hang(on_workers): on_workers(hang, deadline=0.5)
def test_death(on_workers): on_workers(die, world=1)
def test_exception(on_workers): on_workers(fail)
def test_warning(on_workers): on_workers(warn, world=1)
def test_stays(on_workers): on_workers(stay, world=1)
def test_orphan(on_workers): on_workers(start, world=1)
def test_segment(on_workers): on_workers(leave, world=1)
def test_descriptor(on_workers): test_descriptor.kept = os.memfd_create("left")
def test_own_orphan(nothing_left): test_own_orphan.kept = subprocess.Popen(["sleep", "100"])
"""

COMPLAINTS = {
    "hang": r"rank 1 of 2: no answer after 0.5 s(.|\n)*in wait_for_godot",
    "death": r"rank 0 of 1 died, exit code 3",
    "exception": r"rank 1 of 2 raised(.|\n)*rank one is not zero",
    "warning": r"rank 0 of 1 raised(.|\n)*UserWarning: careful",
    "stays": r"workers outlived the test: \[\d+\]",
    "orphan": r"processes outlived the test:\s+(E\s+)?pid \d+: \S*python\S* -c import time",
    "segment": r"shared memory outlived the test: \{'nbgrad-left-by-test'\}",
    "descriptor": r"descriptors or memfds outlived the test: .*/memfd:left",
    "own_orphan": r"processes outlived the test:\s+(E\s+)?pid \d+: sleep 100",
}


def test_segments_of_another_run_are_not_ours(monkeypatch):
    monkeypatch.setitem(leaked.__globals__, "LEAVE_S", 1.0)
    path = Path("/dev/shm/nbgrad-of-another-run")
    program = f"import mmap; f = open({str(path)!r}, 'w+b'); f.truncate(4096); m = mmap.mmap(f.fileno(), 4096)"
    other = subprocess.Popen(
        [sys.executable, "-c", program + "; print(flush=True); input()"],
        env={k: v for k, v in os.environ.items() if k != MARK},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        before = segments()
        other.stdout.readline()
        assert path.name in segments()
        assert path.name not in leaked(before)
        other.communicate(b"\n", timeout=10)
        assert path.name in leaked(before)  # nobody has it open: who else should have left it?
    finally:
        path.unlink()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """{test: its part of the report} of a run of BROKEN."""
    root = tmp_path_factory.mktemp("broken")
    (root / "tests").mkdir()
    shutil.copy(ROOT / "tests" / "conftest.py", root / "tests")
    shutil.copy(ROOT / "pyproject.toml", root)
    (root / "tests" / "test_broken.py").write_text(BROKEN)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--color=no",
        "-p",
        "no:cacheprovider",
        "tests",
    ]
    done = subprocess.run(
        command,
        cwd=root,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "COLUMNS": "120",
            "NBGRAD_TEST_LEAVE_S": "1",  # what is left there stays for ever
        },
        capture_output=True,
        text=True,
        timeout=100,
    )
    parts = re.split(r"^_+ (?:ERROR at teardown of )?test_(\w+) _+$", done.stdout, flags=re.M)
    assert len(parts) > 1, done.stdout + done.stderr
    return dict(zip(parts[1::2], parts[2::2]))


@pytest.mark.parametrize("broken", COMPLAINTS)
def test_complaint_says_what_is_wrong(report, broken):
    assert re.search(COMPLAINTS[broken], report[broken]), report[broken]
