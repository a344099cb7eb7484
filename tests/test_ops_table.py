"""docs/ops.md is what tools/ops_table.py writes, and the tool's questions can be answered with no."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import nbgrad as nb
from nbgrad.autograd.op import op

ROOT = Path(__file__).parents[1]
SPEC = importlib.util.spec_from_file_location("ops_table", ROOT / "tools" / "ops_table.py")
ops_table = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(ops_table)

X = np.array([[0.5, 0.0], [0.0, 2.0]])


def test_the_file_is_current_and_a_change_is_seen(tmp_path, monkeypatch, capsys):
    text = ops_table.table()
    assert ops_table.FILE.read_text() == text, "run python tools/ops_table.py"
    monkeypatch.setattr(ops_table, "table", lambda: text)
    assert ops_table.main(["--check"]) == 0
    monkeypatch.setattr(ops_table, "ROOT", tmp_path)
    monkeypatch.setattr(ops_table, "FILE", tmp_path / "docs" / "ops.md")
    assert ops_table.main(["--check"]) == 1
    assert "not current" in capsys.readouterr().out
    assert ops_table.main([]) == 0
    assert ops_table.FILE.read_text() == text


@op
def once(x):
    return x * x, (x,)


@once.vjp
def once(residuals, g):
    return (g * residuals[0] * 2,)


def test_yes_and_no():
    assert ops_table.has_second(nb.exp, [X])
    assert not ops_table.has_second(once, [X])
    assert ops_table.takes_sparse(nb.matmul, [X, X])
    assert not ops_table.takes_sparse(nb.matmul, [X[0], X])
    assert ops_table.gives_gradients(nb.exp, [X.astype(np.float32)])
    assert not ops_table.gives_gradients(lambda x: nb.Tensor(np.ones(1)) + x.detach(), [X])
    wide = lambda x: x.double()  # noqa: E731
    assert not ops_table.gives_gradients(wide, [X.astype(np.float32)])


def test_what_falls_back_is_not_captured(recwarn):
    assert ops_table.is_captured(nb.exp, [X])
    assert not ops_table.is_captured(lambda x: x * x.max().item(), [X])
    assert not ops_table.is_captured(lambda x: x[x > 1], [X])
    calls = []

    def counts(x):  # a replay runs no Python, so it gives other numbers than eager calls
        calls.append(1)
        return x * float(len(calls))

    assert not ops_table.is_captured(counts, [X])


def test_an_error_is_a_no(monkeypatch):
    def refuse(x):
        raise TypeError

    monkeypatch.setattr(ops_table, "samples", {"f": lambda m: (refuse, X), "f 2": lambda m: (nb.exp, X)})  # fmt: skip
    assert ops_table.holds(ops_table.runs, "f")
    assert not ops_table.holds(ops_table.runs, "g")
    monkeypatch.setattr(ops_table, "samples", {"f": lambda m: (refuse, X)})
    assert not ops_table.holds(ops_table.runs, "f")


@pytest.mark.parametrize("room", ["nb", "F", "linalg"])
def test_nothing_is_left_out(room):
    space = ops_table.SPACES[room]
    known = {key.split()[0] for key in ops_table.samples} | set(ops_table.constants())
    known |= set(ops_table.others())
    known_functions = {id(getattr(r, name, None)) for r in ops_table.SPACES.values() for name in known}  # fmt: skip
    names = getattr(space, "__all__", None) or [n for n in vars(nb.ops) if n in vars(nb)]
    functions = [n for n in names if callable(getattr(space, n)) and not isinstance(getattr(space, n), type)]  # fmt: skip
    left = [n for n in functions if n not in known and id(getattr(space, n)) not in known_functions]
    assert left == (["one_hot"] if room == "F" else [])
