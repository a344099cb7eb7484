"""SPIN models of the protocols: every state of each, and each planted bug found.  Runs where `spin` and a C compiler are.

The models are written by hand beside the source, so they can differ from it; what steps the source itself is in
tests/simulation.  What a model adds is size: millions of states, with a kill between any two steps.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
COMPILER = shutil.which("gcc") or shutil.which("cc")
pytestmark = pytest.mark.skipif(
    not (shutil.which("spin") and COMPILER), reason="needs spin and a C compiler"
)

RIGHT = [
    ("pass", ""),
    ("pass", "-DCAP=1"),
    ("pass", "-DCRASH -DSUPERVISOR -DVICTIM=0"),
    ("pass", "-DCRASH -DSUPERVISOR -DVICTIM=1"),
    ("pass", "-DCRASH -DSUPERVISOR -DVICTIM=2 -DCAP=1"),
    ("row", ""),
    ("bell", ""),
    ("bell", "-DNS=3"),
    ("holders", ""),
]
ASSERTION, HANG = "assertion violated", "invalid end state"
WRONG = [
    ("pass", "-DBUG_DEC", ASSERTION),
    ("pass", "-DBUG_CNT", ASSERTION),
    ("pass", "-DBUG_PUB", ASSERTION),
    ("pass", "-DBUG_DRAIN -DCAP=1", HANG),
    ("pass", "-DCRASH", HANG),  # nobody sets the poison word
    ("row", "-DBUG_CONTEXT", ASSERTION),
    ("row", "-DBUG_ZERO", ASSERTION),
    ("row", "-DBUG_DROP", ASSERTION),
    ("bell", "-DBUG_CLEAR", HANG),
    ("bell", "-DBUG_SLEEP", HANG),
    ("bell", "-DBUG_ORDER", HANG),
    ("bell", "-DBUG_LEAVE", HANG),
    ("bell", "-DBUG_STANDBY", HANG),
    ("holders", "-DBUG_CHECK", ASSERTION),
    ("holders", "-DBUG_LATE", ASSERTION),
    ("holders", "-DBUG_FREE", f"{ASSERTION}|{HANG}"),
]


def verdict(model, flags, folder):
    """(error or "", number of states) of a complete search."""
    commands = [
        ["spin", "-a", *flags.split(), str(HERE / f"{model}.pml")],
        [
            COMPILER,
            *[
                "-O2",
                "-w",
                "-DSAFETY",
                "-DCOLLAPSE",
                "-DVECTORSZ=4096",
                "-DMEMLIM=4000",
                "-o",
                "pan",
                "pan.c",
            ],
        ],
        ["./pan", "-m300000"],
    ]
    for command in commands:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100)
        text = done.stdout + done.stderr
        assert done.returncode == 0, text
    error = re.search(r"^pan:\d+: (.*)", text, re.M)
    assert error or "Search not completed" not in text, text
    assert "max search depth too small" not in text, text
    states = re.search(r"(\d+) states, stored", text)
    return error[1] if error else "", int(states[1])


@pytest.mark.parametrize(("model", "flags"), RIGHT)
def test_model_is_right_in_all_states(model, flags, tmp_path):
    error, n_states = verdict(model, flags, tmp_path)
    print(f"{model} {flags}: {n_states:,} states")
    assert not error


@pytest.mark.parametrize(("model", "flags", "says"), WRONG)
def test_planted_bug_is_found(model, flags, says, tmp_path):
    error, _ = verdict(model, flags, tmp_path)
    assert re.search(says, error), error or "no error"
