"""The README's programs of two workers run as they stand; its other examples run as doctests."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"


PROGRAMS = re.findall(r"```python\n(import nbgrad as nb.*?)```", README.read_text(), flags=re.S)


def run(source, folder, *command):
    """What the program prints, as a number."""
    (folder / "program.py").write_text(source)
    done = subprocess.run(
        [sys.executable, *command, "program.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return float(done.stdout)


def test_program_of_two_workers_learns(tmp_path, nothing_left):
    source, _ = PROGRAMS
    assert "mp.spawn(work" in source
    assert 0 < run(source, tmp_path) < 1


def test_data_parallel_program_learns(tmp_path, nothing_left):
    _, source = PROGRAMS
    assert "SharedParameters" in source
    assert 0 < run(source, tmp_path, "-m", "nbgrad", "run", "--nproc", "2") < 0.1
