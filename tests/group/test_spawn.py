"""spawn and run_script: every way in which workers can end, seen from the launcher."""

import os
import signal
import subprocess
import sys
import time

import pytest

from nbgrad.errors import ProcessExitedException, ProcessRaisedException
from nbgrad.group import join, run_script, spawn
from tests.group.programs import DEADLINE_S, ROOT

WORLD = 3


def note(index, folder):
    (folder / f"{index}").write_text(f"{index} {os.getpid()} {os.environ['OPENBLAS_NUM_THREADS']}")


def fail_on_two(index):
    session = join(f"w{index}", index, WORLD)
    if index == 2:
        raise ValueError("rank two has no luck")
    while True:  # until the death of 2 is noticed
        session.check("a loop")


def fail_or_wait(index):
    if index == 1:
        raise ValueError("early")
    signal.pause()


def exit_with(index, code):
    sys.exit(code if index == 1 else 0)


def kill_own(index, number):
    if index == 1:
        os.kill(os.getpid(), number)
    else:
        signal.pause()


def interrupt_own(index):
    os.kill(os.getpid(), signal.SIGINT)
    signal.pause()


def desert(index):
    join(f"w{index}", index, 2)
    if index == 0:
        signal.pause()


def test_workers_run_with_their_number(nothing_left, tmp_path):
    assert spawn(note, (tmp_path,), nprocs=3) is None
    found = [(tmp_path / str(index)).read_text().split() for index in range(3)]
    assert [words[0] for words in found] == ["0", "1", "2"]
    assert len({words[1] for words in found}) == 3
    assert {words[2] for words in found} == {os.environ.get("OPENBLAS_NUM_THREADS", "1")}


def test_the_first_failure_is_raised_with_its_traceback(nothing_left):
    with pytest.raises(ProcessRaisedException) as caught:
        spawn(fail_on_two, nprocs=WORLD)
    error = caught.value
    assert error.error_index == 2
    assert "-- Process 2 terminated with the following error:" in str(error)
    assert "in fail_on_two" in str(error)
    assert "ValueError: rank two has no luck" in str(error)
    assert "worker.py" not in str(error)  # no frames of nbgrad's own


def test_workers_that_do_not_look_are_ended(nothing_left):
    start = time.monotonic()
    with pytest.raises(ProcessRaisedException, match="early"):
        spawn(fail_or_wait, nprocs=2)
    assert time.monotonic() - start < 5.0


@pytest.mark.parametrize("code", [0, 3])
def test_exit_codes_of_workers(nothing_left, code):
    if code == 0:
        spawn(exit_with, (code,), nprocs=2)
        return
    with pytest.raises(
        ProcessExitedException, match="process 1 terminated with exit code 3"
    ) as caught:
        spawn(exit_with, (code,), nprocs=2)
    assert (caught.value.exit_code, caught.value.signal_name) == (3, None)


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM"])
def test_a_killed_worker_is_named_with_its_signal(nothing_left, name):
    number = getattr(signal, name)
    with pytest.raises(
        ProcessExitedException, match=f"process 1 terminated with signal {name}"
    ) as caught:
        spawn(kill_own, (number,), nprocs=2)
    assert (caught.value.exit_code, caught.value.signal_name) == (-number, name)
    assert ("memory" in str(caught.value)) == (name == "SIGKILL")


def test_an_interrupted_worker_ends_quietly(nothing_left, capfd):
    with pytest.raises(ProcessExitedException, match="exit code 130"):
        spawn(interrupt_own)
    assert capfd.readouterr().err == ""


def test_a_member_that_returns_without_leaving_is_named(nothing_left):
    with pytest.raises(ProcessExitedException, match="process 1 did not leave the group"):
        spawn(desert, nprocs=2)


def test_what_can_not_be_pickled_is_said_before_anything_starts(nothing_left):
    with pytest.raises(AttributeError, match="pickle") as caught:
        spawn(lambda index: None)
    assert "top level" in caught.value.__notes__[0]


@pytest.mark.parametrize("nprocs", [0, 32])
def test_numbers_of_workers_are_checked(nothing_left, nprocs):
    with pytest.raises(ValueError, match="1 to 31"):
        spawn(note, nprocs=nprocs)


def test_start_methods_are_checked():
    with pytest.raises(ValueError, match="forkserver"):
        spawn(note, start_method="threads")


SCRIPT = """
import os, pathlib, pickle, sys
from helper import number  # beside the script

class OfMain:
    pass

pickle.loads(pickle.dumps(OfMain()))  # found in the running __main__
names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR")
text = " ".join([*(os.environ[name] for name in names), *sys.argv[1:], __name__, str(number)])
int(os.environ["MASTER_PORT"])
pathlib.Path(os.environ["FOLDER"], os.environ["RANK"]).write_text(text)
"""


def test_a_script_runs_in_every_worker(nothing_left, tmp_path, monkeypatch):
    monkeypatch.setenv("FOLDER", str(tmp_path))
    (tmp_path / "helper.py").write_text("number = 42")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    run_script(str(script), ["--lr", "1"], nprocs=2)
    found = [(tmp_path / str(index)).read_text() for index in range(2)]
    assert found == [f"{k} {k} 2 127.0.0.1 --lr 1 __main__ 42" for k in range(2)]


def test_a_missing_script_is_named(nothing_left):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.py"):
        run_script("nowhere.py")


UNHANDLED = """
import nbgrad.multiprocessing as mp

def work(index):
    assert index == 0, "one is not zero"

if __name__ == "__main__":
    mp.spawn(work, nprocs=2)
"""


def test_an_unhandled_failure_ends_the_script_with_1(nothing_left, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(UNHANDLED)
    done = subprocess.run(
        [sys.executable, script],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )
    assert done.returncode == 1
    assert "AssertionError: one is not zero" in done.stderr
    assert "-- Process 1 terminated" in done.stderr


def test_a_script_without_its_guard_is_told_so(nothing_left, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(UNHANDLED.replace('if __name__ == "__main__":', "if True:"))
    done = subprocess.run(
        [sys.executable, script],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )
    assert done.returncode == 1
    assert "if __name__ == '__main__':" in done.stderr
