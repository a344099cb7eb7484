"""The command: version, help, and one line on standard error with exit code 2 for what it can't do."""

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

import nbgrad
from nbgrad.cli import main
from nbgrad.cli.entry import INTERRUPTED, OneLineGroup


def call(*arguments):
    """Run the command in this process."""
    return CliRunner().invoke(main, arguments, prog_name="nbgrad")


def test_version():
    result = call("--version")
    assert (result.exit_code, result.output) == (0, f"nbgrad {nbgrad.__version__}\n")


def test_without_arguments_it_helps():
    result = call()
    assert result.exit_code == 0
    assert "doctor" in result.output
    assert result.output == call("--help").output


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--nonsense"], "nbgrad: No such option '--nonsense'. See `nbgrad --help`.\n"),
        (["cook"], "nbgrad: No such command 'cook'. See `nbgrad --help`.\n"),
        (
            ["doctor", "--cure"],
            "nbgrad doctor: No such option '--cure'. See `nbgrad doctor --help`.\n",
        ),
    ],
)
def test_bad_flags_get_one_line(arguments, line):
    result = call(*arguments)
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", line)


@pytest.mark.parametrize(
    ("error", "exit_code", "line"),
    [
        (click.ClickException("the oven is cold"), 1, "nbgrad: the oven is cold\n"),
        (KeyboardInterrupt(), INTERRUPTED, "nbgrad: interrupted\n"),
        (click.exceptions.Exit(7), 7, ""),
    ],
)
def test_other_ends(error, exit_code, line):
    @click.command(cls=OneLineGroup, invoke_without_command=True)
    def failing():
        raise error

    result = CliRunner().invoke(failing)
    assert (result.exit_code, result.stderr.strip()) == (exit_code, line.strip())


def test_module_is_the_same_command():
    command = [sys.executable, "-m", "nbgrad", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, f"nbgrad {nbgrad.__version__}\n")
