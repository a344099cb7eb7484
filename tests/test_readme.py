"""The README's program of two workers runs as it stands; its other examples run as doctests."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"


def test_program_of_two_workers_learns(tmp_path, nothing_left):
    (source,) = re.findall(
        r"```python\n(import nbgrad as nb.*?)```", README.read_text(), flags=re.S
    )
    assert "mp.spawn(work" in source
    (tmp_path / "two_workers.py").write_text(source)
    done = subprocess.run(
        [sys.executable, "two_workers.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert 0 < float(done.stdout) < 1
