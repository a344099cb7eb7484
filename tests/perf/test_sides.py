import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from sides import (
    Absent,
    Side,
    SideFailed,
    clean_environment,
    family,
    is_absence,
    per_block,
    per_item,
)

PERF = Path(__file__).parents[2] / "perf"

CHILD = f"""
    import os, sys, time
    sys.path.insert(0, {str(PERF)!r})
    from collections import namedtuple
    from types import SimpleNamespace
    from sides import serve

    def counted(lib):
        return lambda count: [float(lib.unit)] * count

    def two(lib):
        return lambda count: {{"a": [1.0], "b": [2.0]}}

    def missing(lib):
        return lib.no_such_operation

    def broken(lib):
        def block(count):
            raise ValueError("the gradient is wrong")
        return block

    def ends(lib):
        return lambda count: os._exit(3)

    lib = SimpleNamespace(unit=7, versions=lambda: {{"python": "x"}})
    setups = 0

    def renewed(lib):
        global setups
        setups += 1
        return lambda count: [float(setups)] * count

    Figure = namedtuple("Figure", "setup warm renew", defaults=[1, 0])
    figures = [Figure(setup) for setup in (counted, two, missing, broken, ends, renewed)]
    figures += [Figure(renewed, renew=2)]
    if "--early" in sys.argv:
        raise SystemExit("no such framework")
    serve(figures, lib)
"""


@pytest.fixture
def start(tmp_path):
    script = tmp_path / "child.py"
    script.write_text(textwrap.dedent(CHILD))
    folder = tmp_path / "run"
    folder.mkdir()
    sides = []

    def starter(**options):
        sides.append(Side("fake", "nbgrad", sys.executable, script, folder, **options))
        return sides[-1]

    yield starter
    for side in sides:
        side.close()
        assert side.child.returncode is not None


def wait_stopped(pid):
    """SIGSTOP takes effect soon, not at once."""
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
        assert time.monotonic() < deadline


def test_a_block_is_measured_in_the_child(start):
    side = start()
    assert side.wait_ready()["versions"] == {"python": "x"}
    assert side.block(0, 3) == {"": [7.0, 7.0, 7.0]}
    assert side.block(1, 1) == {"a": [1.0], "b": [2.0]}


def test_a_figure_is_set_up_once_or_several_times_in_every_block(start):
    side = start()
    side.wait_ready()
    assert [side.block(5, 1)[""] for _ in range(2)] == [[1.0], [1.0]]
    assert [side.block(6, 1)[""] for _ in range(2)] == [[2.0, 3.0], [4.0, 5.0]]


def test_a_figure_that_a_side_lacks_is_absent_and_the_side_goes_on(start):
    side = start()
    side.wait_ready()
    with pytest.raises(Absent, match="no_such_operation"):
        side.block(2, 1)
    assert side.block(0, 1) == {"": [7.0]}


def failing(code, module):
    with pytest.raises((ImportError, AttributeError)) as caught:
        exec(code, {"__name__": module})
    return caught.value


def test_a_name_that_the_package_lacks_is_absent_but_its_own_failure_is_not():
    assert is_absence(failing("object.no_such_operation", "regress_figures"))
    assert is_absence(ModuleNotFoundError(name="nbgrad.no_such_module"))
    assert not is_absence(failing("object.no_such_operation", "nbgrad.ops.pointwise"))
    assert not is_absence(failing("import no_such_package", "regress_figures"))


def test_a_wrong_result_fails_with_the_traceback(start):
    side = start()
    side.wait_ready()
    with pytest.raises(SideFailed, match="the gradient is wrong"):
        side.block(3, 1)


def test_a_child_that_ends_is_reported_with_its_exit_code(start):
    side = start()
    side.wait_ready()
    with pytest.raises(SideFailed, match="ended"):
        side.block(4, 1)


def test_a_child_that_does_not_start_shows_its_standard_error(start):
    with pytest.raises(SideFailed, match="no such framework"):
        start(arguments=["--early"]).wait_ready()


def test_a_group_is_stopped_while_it_is_not_its_turn(start):
    side = start(is_group=True)
    side.wait_ready()
    wait_stopped(side.child.pid)
    assert side.block(0, 1) == {"": [7.0]}
    wait_stopped(side.child.pid)


def test_family_finds_children_of_children():
    sleep = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'])"
    with subprocess.Popen([sys.executable, "-c", sleep], stdin=subprocess.PIPE) as child:
        deadline = time.monotonic() + 10
        while len(family(child.pid)) < 2:
            assert time.monotonic() < deadline
        assert set(family(child.pid)) < set(family(os.getpid()))
    assert family(child.pid) == [child.pid]  # of a process that has ended


def test_the_environment_of_both_sides_is_clean(monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "NEHALEM")
    monkeypatch.setenv("OPENBLAS_L2_SIZE", "256")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setenv("PYTHONPATH", "somewhere")
    environment = clean_environment("here")
    assert "OPENBLAS_CORETYPE" not in environment
    assert "OPENBLAS_L2_SIZE" not in environment
    assert environment["OPENBLAS_NUM_THREADS"] == environment["OMP_NUM_THREADS"] == "1"
    assert environment["PYTHONPATH"] == "here"
    assert os.environ["OMP_NUM_THREADS"] == "7"


def test_samples_are_per_item():
    calls = []
    assert len(per_item(4, lambda: calls.append(1))) == 4
    assert len(per_block(4, lambda: calls.append(1))) == 1
    assert len(calls) == 8
