"""run_again: how often, and what the workers know about it.  Whole groups are restarted in tests/checkpoint."""

import pytest

from nbgrad.errors import ProcessExitedException
from nbgrad.group import run_again

SCRIPT = """
import os, sys
count, most = (int(os.environ[f"TORCHELASTIC_{name}"]) for name in ("RESTART_COUNT", "MAX_RESTARTS"))
with open(sys.argv[1], "a") as file:
    file.write(f"{count} of {most}\\n")
sys.exit(0 if count == int(sys.argv[2]) else 3)
"""


@pytest.fixture
def start(tmp_path, nothing_left):
    script, log = tmp_path / "script.py", tmp_path / "log"
    script.write_text(SCRIPT)

    def run(good_at, **options):
        return run_again(str(script), [str(log), str(good_at)], 1, **options)

    run.log = log
    return run


def test_until_it_ends_well(start):
    told = []
    count = start(2, max_restarts=5, on_restart=lambda error, count: told.append((error, count)))
    assert count == 2
    assert start.log.read_text() == "0 of 5\n1 of 5\n2 of 5\n"
    assert [count for _, count in told] == [1, 2]
    assert all(error.exit_code == 3 for error, _ in told)


def test_the_last_failure_is_raised(start):
    with pytest.raises(ProcessExitedException, match="exit code 3"):
        start(9, max_restarts=1)
    assert start.log.read_text() == "0 of 1\n1 of 1\n"
