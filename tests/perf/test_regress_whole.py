"""The whole of regress.py on a copy of this repository: planted slowdowns are named, and nothing else is."""

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
KERNEL = ("nbgrad/ops/activation.py", "_relu_vjp")
ENCODE = ("nbgrad/rpc/calls.py", "send")


@pytest.fixture
def copy(tmp_path):
    """A repository with one commit: this tree as it is now."""
    root = tmp_path / "copy"
    listing = ["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard", "nbgrad", "perf"]
    for name in subprocess.check_output(listing, text=True).splitlines():
        if (ROOT / name).exists():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, root / name)
    identity = ["-c", "user.name=n", "-c", "user.email=e"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "base"]):
        subprocess.run(["git", "-C", root, *identity, *command], check=True)
    return root


def function(tree, name):
    return next(
        node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == name
    )


def plant_in_kernel(root):
    """Run the kernel's loop a second time over a tenth of the elements."""
    file, name = root / KERNEL[0], KERNEL[1]
    text = file.read_text()
    loop = next(node for node in function(ast.parse(text), name).body if isinstance(node, ast.For))
    lines = text.splitlines(keepends=True)
    again = lines[loop.lineno - 1 : loop.end_lineno]
    again[0] = again[0].replace("):", " // 10):")
    lines[loop.end_lineno : loop.end_lineno] = again
    file.write_text("".join(lines))


def plant_in_encoding(root, n):
    """Count to `n` in each call's encoding."""
    file, name = root / ENCODE[0], ENCODE[1]
    text = file.read_text()
    first = next(
        node
        for node in function(ast.parse(text), name).body
        if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
    )
    lines = text.splitlines(keepends=True)
    indent = " " * first.col_offset
    lines[first.lineno - 1 : first.lineno - 1] = [
        f"{indent}for _ in range({n}):\n",
        f"{indent}    pass\n",
    ]
    file.write_text("".join(lines))


def regress(root, lines):
    """Exit code, and {figure: verdict}."""
    lines.unlink(missing_ok=True)
    command = [sys.executable, "perf/regress.py", "--quick", "--against", "HEAD", "--json", lines]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=600)
    assert not done.stderr, done.stderr
    records = map(json.loads, lines.read_text().splitlines())
    print(f"load {os.getloadavg()[0]:.1f}\n{done.stdout}")
    return done.returncode, {record["name"]: record["verdict"] for record in records}


def test_ten_percent_in_a_kernel_and_in_the_encode_path_are_named(copy, tmp_path):
    plant_in_kernel(copy)
    plant_in_encoding(copy, 10)  # about 0.2 of 1.9 us
    code, verdicts = regress(copy, tmp_path / "lines")
    slower = {name for name, verdict in verdicts.items() if verdict == "regressed"}
    assert code == 1
    assert slower >= {"relu vjp", "encode a call of tensors"}
    rightly = {"encode a call, pickled"} | {
        name for name in slower if "hop" in name or "rpc" in name
    }
    assert slower <= {"relu vjp", "encode a call of tensors", *rightly}  # encoding is part of them


def test_no_false_alarm_in_five_runs_against_itself(copy, tmp_path):
    for _ in range(5):
        code, verdicts = regress(copy, tmp_path / "lines")
        assert code == 0
        assert set(verdicts.values()) == {"can't tell"}
