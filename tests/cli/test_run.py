"""`nbgrad run`: workers find each other and their arguments; a failure shows itself in text and exit code."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

from nbgrad.cli import main

COMMAND = [sys.executable, "-m", "nbgrad", "run"]

MEETS = """
import os, sys
from nbgrad import rpc

rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
rpc.init_rpc(f"worker{rank}")
if rank == 0:
    found = [rpc.rpc_sync(f"worker{k}", pow, args=(k, 2)) for k in range(world)]
    print(found, sys.argv[1:], __name__, flush=True)
rpc.shutdown()
"""


@pytest.fixture
def call(tmp_path, nothing_left):
    """Run a script with `nbgrad run`."""

    def run(source, *arguments, nproc=2, before=()):
        script = tmp_path / "script.py"
        script.write_text(source)
        command = [*COMMAND, "--nproc", str(nproc), *before, str(script), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    return run


def test_workers_meet_and_get_their_arguments(call):
    done = call(
        MEETS, "--nproc", "7", "-x", "file", nproc=3
    )  # what follows the script is the script's
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "[0, 1, 4] ['--nproc', '7', '-x', 'file'] __main__\n"


def test_functions_of_the_script_can_be_called(call):
    source = MEETS.replace("rank, world", "def cube(x):\n    return x**3\n\nrank, world", 1)
    done = call(source.replace("pow, args=(k, 2)", "cube, args=(k,)"))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("[0, 1] ")


def test_exception_is_shown_with_its_rank(call):
    done = call("import os\nassert os.environ['RANK'] != '1', 'rank one is not liked'\n")
    assert done.returncode == 1
    assert "Process 1 terminated with the following error" in done.stderr
    assert "AssertionError: rank one is not liked" in done.stderr
    assert "nbgrad/cli" not in done.stderr  # the traceback is the worker's


@pytest.mark.parametrize(
    ("line", "code"),
    [("sys.exit(7)", 7), ("os.kill(os.getpid(), 9)", 128 + 9), ("sys.exit(0)", 0)],
)
def test_exit_code_is_that_of_the_worker(call, line, code):
    done = call(f"import os, sys\nif os.environ['RANK'] == '1': {line}\n")
    assert done.returncode == code
    if code > 128:
        assert "SIGKILL" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Missing"),
        (["--nproc", "2"], "Missing argument 'SCRIPT'"),
        (["--nproc", "0", __file__], "0 is not in the range"),
        (["--nproc", "32", __file__], "32 is not in the range"),
        (["--nproc", "2", "/no/such.py"], "File '/no/such.py' does not exist"),
        (["--nprocs", "2", __file__], "No such option '--nprocs'"),
    ],
)
def test_bad_flags_get_one_line(arguments, said):
    result = CliRunner().invoke(main, ["run", *arguments], prog_name="nbgrad")
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
