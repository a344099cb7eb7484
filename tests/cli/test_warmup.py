"""`nbgrad warmup`: compiles what is missing, once, and says what it did."""

import subprocess
import sys

from click.testing import CliRunner
from rich.console import Console

from nbgrad.cli import main
from nbgrad.cli.warmup import compile_all
from nbgrad.jit import warm


def test_processes_fill_the_cache(empty_store, nothing_left):
    names = warm.missing()[:3]
    compile_all(names, 2, Console(quiet=True))
    assert not set(names) & set(warm.missing())


def test_a_full_cache_is_left_alone(empty_store, monkeypatch):
    monkeypatch.setattr(warm, "missing", list)
    result = CliRunner().invoke(main, ["warmup"])
    assert result.exit_code == 0
    assert f"0 of {len(warm.objects())} objects compiled" in result.output
    assert str(empty_store) in result.output


def test_a_place_that_can_not_be_written_is_named(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    command = [sys.executable, "-m", "nbgrad", "warmup"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "no cache folder can be written (XDG_CACHE_HOME" in done.stderr
    assert "Traceback" not in done.stderr
