"""Well-known programs of `torch.distributed.rpc`, written anew, run on nbgrad; and, where torch is, on torch.

Each file of tests/programs/ is a program: its import lines name nbgrad, and with the word `torch` there instead the same file is
a program for torch.  NBGRAD_PERF_TORCH_PYTHON names a Python that has torch; without it only nbgrad's half runs.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).parent / "programs"
TORCH_PYTHON = os.environ.get("NBGRAD_PERF_TORCH_PYTHON")
IMPORT = re.compile(r"^(\s*)(import|from) nbgrad\b", re.MULTILINE)
SECONDS = {"nbgrad": 60, "torch": 110}

# program -> arguments, what the lines of its output must match
RUNS = {
    "first_steps": ([], ["all of it as expected"]),
    "rl": (["--episodes", "20"], [r"Episode 20\s+average length: [0-9.]+"]),
    "batch_rl": (["--episodes", "4", "--steps", "30"], ["batch=True: falls .*", "batch=False: falls .*"]),
    "rnn": (["--epochs", "12"], [r"loss (?P<first>[0-9.]+) to (?P<last>[0-9.]+)"]),
    "parameter_server": (
        ["--images", "480"],
        [r"Rank 1 accuracy (?P<percent>[0-9.]+) %"],
    ),
    "batch_parameter_server": (
        [],
        [
            r"trainer1 loss (?P<first>[0-9.]+) to (?P<last>[0-9.]+)",
            "all trainers have the model of the server",
        ],
    ),
    "pipeline": (
        [],
        [
            r"split 24: loss (?P<first>[0-9.]+) to (?P<last>[0-9.]+)",
            r"split 6: loss (?P<first>[0-9.]+) to (?P<last>[0-9.]+)",
        ],
    ),
    "remote_modules": (
        [],
        ["interface as expected", r"Training done for rank 0: loss (?P<first>[0-9.]+) to (?P<last>[0-9.]+)"],
    ),
}  # fmt: skip
# Two trainers of one model: torch refuses a backward pass after the other's step ("modified by an inplace operation").
FOR_TORCH = {"parameter_server": ["--world_size", "2"]}


def ported(text):
    """The program with the word torch in its import lines."""
    return IMPORT.sub(r"\1\2 torch", text)


def run(name, framework, python, folder):
    """Output of a program."""
    for source in PROGRAMS.glob("*.py"):
        text = source.read_text()
        (folder / source.name).write_text(ported(text) if framework == "torch" else text)
    arguments = RUNS[name][0] + (FOR_TORCH.get(name, []) if framework == "torch" else [])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    environment = os.environ | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    environment |= {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [python, folder / f"{name}.py", *arguments],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=SECONDS[framework],
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def check(name, output):
    """What the program printed is what a program that learns prints."""
    for pattern in RUNS[name][1]:
        found = re.search(pattern, output)  # anywhere: lines of two workers may become one
        assert found, f"no {pattern!r} in\n{output}"
        numbers = {key: float(value) for key, value in found.groupdict().items()}
        if "last" in numbers:
            assert numbers["last"] < 0.9 * numbers["first"], output
        if "percent" in numbers:
            assert numbers["percent"] > 50, output


@pytest.mark.parametrize("name", RUNS)
def test_on_nbgrad(name, tmp_path, nothing_left):
    check(name, run(name, "nbgrad", sys.executable, tmp_path))


@pytest.mark.skipif(
    TORCH_PYTHON is None, reason="NBGRAD_PERF_TORCH_PYTHON names no Python with torch"
)
@pytest.mark.parametrize("name", RUNS)
def test_on_torch(name, tmp_path):
    check(name, run(name, "torch", TORCH_PYTHON, tmp_path))


def test_every_program_is_run():
    assert set(RUNS) == {path.stem for path in PROGRAMS.glob("*.py")} - {"cartpole"}


def test_only_import_lines_change():
    text = (
        "import nbgrad as torch\nfrom nbgrad.distributed import rpc\nx = 'nbgrad'\nimport nbgrade\n"
    )
    assert ported(text) == (
        "import torch as torch\nfrom torch.distributed import rpc\nx = 'nbgrad'\nimport nbgrade\n"
    )
    for source in PROGRAMS.glob("*.py"):
        before, after = source.read_text().splitlines(), ported(source.read_text()).splitlines()
        changed = [a for a, b in zip(before, after, strict=True) if a != b]
        assert all(line.startswith(("import ", "from ")) for line in changed)
        assert changed or source.stem == "cartpole"


@pytest.mark.parametrize(
    ("name", "output"),
    [
        ("rnn", "loss 3.000 to 2.900"),  # does not learn
        ("rnn", "no such line"),
        ("parameter_server", "Rank 1 accuracy 20.0 %"),
    ],
)
def test_a_program_that_fails_is_noticed(name, output):
    with pytest.raises(AssertionError):
        check(name, output)


def test_a_program_that_ends_badly_is_noticed(tmp_path, monkeypatch):
    shutil.copy(PROGRAMS / "cartpole.py", tmp_path)
    monkeypatch.setitem(RUNS, "rnn", (["--no-such-option"], []))
    with pytest.raises(AssertionError, match="no-such-option"):
        run("rnn", "nbgrad", sys.executable, tmp_path)
