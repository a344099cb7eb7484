"""Each script runs with --quick and writes the lines that it promises."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PERF = Path(__file__).parents[2] / "perf"
KEYS = {"script", "name", "unit", "ratio", "interval", "aa", "load", "versions", "median", "p99"}


def run(script, *flags):
    return subprocess.run(
        [sys.executable, PERF / script, *flags], capture_output=True, text=True, timeout=110
    )


@pytest.mark.parametrize(
    ("script", "names"),
    [
        (
            "rpc_latency.py",
            ["rpc_sync", "rpc_async, 100 in flight, each", "rpc_sync, peer asleep 10 ms"],
        ),
        (
            "backward_hops.py",
            ["4 hops, each, backward", "64 hops, each, backward", "1 hop, backward"],
        ),
        ("op_overhead.py", ["1 element, forward+backward", "64 elements, backward"]),
        ("encode.py", ["2 arrays of 4 B, post", "encode a call of tensors"]),
        ("wide_graph.py", ["64 calls to one worker, each, backward"]),
        ("payload.py", ["1 MiB", "64 MiB"]),
        (
            "allreduce.py",
            ["4 B", "10 MB, in place", "100 MB, shared result", "100 MB, shared result, copy"],
        ),
        ("fused.py", ["gelu", "layer norm", "bias and relu", "gelu, share of a copy's bandwidth"]),
        (
            "shared_step.py",
            ["4M parameters, torch's default Adam", "4M parameters, torch's fused Adam"],
        ),
        (
            "data_parallel.py",
            ["MLP, batch 64, shared", "CNN, batch 64, DDP, apart", "transformer, batch 16, DDP"],
        ),
        ("optimizers.py", ["Adam, step", "Adam, share of the triad"]),
        ("models.py", ["MLP, batch 64, eager", "transformer, batch 16, eager"]),
        ("rpc_payload.py", ["1 KiB, tensor, argument", "64 MiB, ndarray, result"]),
        ("idle.py", ["4 idle workers, CPU per second", "rpc_sync after 1 s"]),
        ("busy.py", ["waiting worker, CPU per second", "call to idle neighbor"]),
        ("cold_start.py", ["import, CPU time", "first training step", "4 workers ready"]),
    ],
)
def test_script(script, names, tmp_path):
    lines = tmp_path / "lines"
    done = run(script, "--quick", "--against", "none", "--json", lines)
    assert done.returncode == 0, done.stderr + done.stdout
    records = {record["name"]: record for record in map(json.loads, lines.read_text().splitlines())}
    assert set(names) <= set(records)
    for record in records.values():
        assert set(record) >= KEYS
        assert 0 < record["median"] <= record["p99"]
        assert record["aa"] > 0
        assert (record["ratio"] is None) == (record["against"] is None)
        assert record["versions"]["nbgrad"]
    head = done.stdout.splitlines()[0]
    assert head.startswith(f"# perf/{script}  rev ")
    assert all(f"  {word} " in head for word in ("load", "python", "numpy", "nbgrad"))


def test_pipeline():
    done = run("pipeline.py", "--quick")
    assert done.returncode == 0, done.stderr
    assert "activations below GPipe's: yes" in done.stdout
    assert "  1f1b" in done.stdout


def test_soak(tmp_path):
    lines = tmp_path / "lines"
    done = run("soak.py", "--quick", "--calls", "6000", "--json", lines)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "NOT FLAT" not in done.stdout
    records = {record["name"]: record for record in map(json.loads, lines.read_text().splitlines())}
    assert records["rpc_sync"]["ratio"] > 0
    assert records["p99"]["is_flat"]
    assert records["worker1 memory"]["growth"] < 1 << 20


def test_soak_names_a_leak():
    done = run("soak.py", "--quick", "--calls", "4000", "--plant", "leak")
    assert done.returncode == 1, done.stderr + done.stdout
    assert [line.split()[:2] for line in done.stdout.splitlines() if line.endswith("NOT FLAT")] == [
        ["worker1", "memory"]
    ]


def test_auto_against_fast_and_the_cost_of_an_unused_call(tmp_path):
    lines = tmp_path / "lines"
    done = run("auto_fast.py", "--quick", "--json", lines)
    assert done.returncode == 0, done.stderr + done.stdout
    records = {record["name"]: record for record in map(json.loads, lines.read_text().splitlines())}
    modes = [record for name, record in records.items() if name.startswith("auto, ")]
    assert [record["against"] for record in modes] == ["fast"] * 3
    unused = [record for name, record in records.items() if name.startswith("unused call to ")]
    assert len(unused) == 2
    assert all(record["messages"] <= 3 for record in unused)  # counted, so exact on any machine
    for record in [*modes, *unused]:
        assert set(record) >= KEYS
        assert record["other_median"] > 0
        assert record["interval"][0] <= record["ratio"] <= record["interval"][1]
    assert done.stdout.count("messages and") == 2


def test_regress_on_one_kernel_and_the_encode_path(tmp_path):
    """All figures take a minute: test_regress_whole.py."""
    root = PERF.parent
    if subprocess.run(["git", "-C", root, "rev-parse", "HEAD"], capture_output=True).returncode:
        pytest.skip("not in a git repository")
    lines = tmp_path / "lines"
    for only in ("relu vjp", "encode a call*"):
        done = run("regress.py", "--quick", "--only", only, "--json", lines)
        assert not done.stderr
        assert done.returncode in (0, 1)  # the tree may differ from HEAD
    records = list(map(json.loads, lines.read_text().splitlines()))
    names = {"relu vjp", "encode a call of tensors", "encode a call, pickled"}
    assert {record["name"] for record in records} == names
    assert {record["verdict"] for record in records} <= {"regressed", "improved", "can't tell"}
    listed = subprocess.check_output(["git", "-C", root, "worktree", "list"], text=True)
    assert "nbgrad-perf-" not in listed


@pytest.mark.parametrize("script", ["rpc_latency.py", "cold_start.py", "regress.py"])
def test_help_names_the_flags(script):
    text = run(script, "--help").stdout
    assert all(
        flag in text for flag in ("--quick", "--json", "--against", "NBGRAD_PERF_TORCH_PYTHON")
    )


@pytest.mark.parametrize("script", ["op_overhead.py", "regress.py"])
def test_an_unknown_revision_gets_one_clear_line(script):
    done = run(script, "--quick", "--against", "no-such-revision")
    assert done.returncode == 2
    assert "no-such-revision" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_torch_the_script_says_so_and_goes_on(tmp_path, monkeypatch):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setenv("NBGRAD_PERF_TORCH_PYTHON", str(python))
    done = run("op_overhead.py", "--quick")
    assert done.returncode == 0, done.stderr
    assert "torch is not installed" in done.stdout
    assert "1 element, forward+backward" in done.stdout


@pytest.mark.parametrize("framework", ["jax", "torch.compile"])
def test_without_what_a_comparison_needs_the_script_says_so(framework, monkeypatch, tmp_path):
    variable = {"jax": "NBGRAD_PERF_JAX_PYTHON", "torch.compile": "NBGRAD_PERF_TORCH_PYTHON"}[
        framework
    ]
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setenv(variable, str(python))
    code = f"import common; print(common.python_with({framework!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PERF)
    assert done.stdout.splitlines()[-1] == "None", done.stderr
    assert f"{framework.partition('.')[0]} is not installed" in done.stdout


def test_torch_compile_needs_a_compiler(monkeypatch, tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexit 0\n")
    python.chmod(0o755)
    monkeypatch.setenv("NBGRAD_PERF_TORCH_PYTHON", str(python))
    monkeypatch.setenv("PATH", str(tmp_path))
    code = "import common; print(common.python_with('torch.compile'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PERF)
    assert done.stdout.splitlines()[-1] == "None", done.stderr
    assert "needs a C++ compiler" in done.stdout
