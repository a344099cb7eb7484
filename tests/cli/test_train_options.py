"""Options: each default, each combination that makes no sense, and folders of other runs."""

import json
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from nbgrad.checkpoint import Checkpoints
from nbgrad.cli import main, train_options
from nbgrad.cli.train import WORK
from nbgrad.cli.train_options import STRATEGIES, plan_of, prepare_folder
from nbgrad.cli.train_plan import Plan


def refused(*arguments):
    """What the command says in its one line."""
    result = CliRunner().invoke(main, ["train", *arguments], prog_name="nbgrad")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("nbgrad train: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--model", "transformer"], "'transformer' is not one of 'mlp', 'cnn'"),
        (["--strategy", "magic"], "'magic' is not one of 'model', 'ddp'"),
        (["--workers", "1"], "1 is not in the range 2<=x<=16"),
        (["--workers", "5"], "at most --workers 4"),
        (["--strategy", "pipeline", "--workers", "5"], "at most --workers 4"),
        (["--workers", "two"], "'two' is not a valid integer"),
        (["--epochs", "0"], "0 is not in the range x>=1"),
        (["--epochs", "3", "--minutes", "1"], "give one of them"),
        (["--batch-size", "-1"], "-1 is not in the range x>=1"),
        (["--strategy", "ddp", "--workers", "4", "--batch-size", "3"], "can't be shared out"),
        (["--strategy", "pipeline", "--batch-size", "5"], "and --micro-batches 4"),
        (["--micro-batches", "2"], "goes with --strategy pipeline"),
        (["--lr", "0"], "0.0 is not in the range x>0"),
        (["--lr", "nan"], "nan is not a finite number"),
        (["--seed", "-1"], "-1 is not in the range x>=0"),
        (["--json", "/no/such/folder/out.json"], "the folder of '/no/such/folder/out.json' does"),
        (["--plot", "/no/such/folder/out.png"], "the folder of '/no/such/folder/out.png' does"),
        (["--plot", "out.bmp"], "'out.bmp' does not end in .png, .svg, .pdf"),
        (["--resume"], "--resume needs --checkpoint-dir"),
        (["--check", "--minutes", "1"], "--check needs --epochs"),
        (["--task", "chars", "--model", "cnn"], "--model is of --task digits"),
        (["--target", "mpg"], "--target names a column of --task table"),
        (["--data", "/no/such/file.csv"], "File '/no/such/file.csv' does not exist"),
        (["--speed", "11"], "No such option '--speed'"),
        (["digits.csv"], "unexpected extra argument"),
    ],
)
def test_bad_flags_get_one_line(arguments, said):
    assert said in refused(*arguments)


def test_data_that_does_not_fit_gets_one_line(tmp_path, monkeypatch):
    np.savez(tmp_path / "a.npz", x=np.arange(20.0), y=np.arange(20.0))
    (tmp_path / "a.csv").write_text("x,y\n1,2\n3,4\n")
    (tmp_path / "a.txt").write_bytes(b"\xff" * 3000)
    table = ["--task", "table", "--data"]
    assert "has data of its own" in refused("--data", str(tmp_path / "a.npz"))
    assert "no column 'z'; it has x, y" in refused(*table, str(tmp_path / "a.npz"), "--target", "z")
    assert "can't decode byte" in refused("--task", "chars", "--data", str(tmp_path / "a.txt"))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "pip install 'nbgrad[data]'" in refused(*table, str(tmp_path / "a.csv"))


def test_without_matplotlib_a_picture_is_refused_at_once(monkeypatch):
    monkeypatch.setattr(train_options.importlib.util, "find_spec", lambda name: None)
    assert "pip install 'nbgrad[plot]'" in refused("--plot", "out.png")


def options(**given):
    names = ("strategy", "model", "epochs", "minutes", "lr", "micro_batches", "data", "target")
    plain = {"task": "digits", "workers": 2, "batch_size": 64, "seed": 0}
    paths = {"checkpoint_dir": None, "resume": False, "save_every": 100}
    return dict.fromkeys(names) | plain | paths | given


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, Plan()),
        ({"model": "cnn"}, Plan(model="cnn", epochs=15)),
        ({"minutes": 2.0}, Plan(minutes=2.0)),
        ({"task": "chars"}, Plan(task="chars", strategy="shared", minutes=5.0, lr=3e-3)),
        (
            {"task": "chars", "epochs": 2, "strategy": "ps"},
            Plan(task="chars", strategy="ps", epochs=2, lr=3e-3),
        ),
        (
            {"task": "table", "lr": 0.5, "workers": 5},
            Plan(task="table", strategy="shared", epochs=100, lr=0.5, workers=5),
        ),
    ],
)
def test_defaults(given, wanted):
    assert plan_of(options(**given)) == wanted


def test_every_strategy_has_its_work():
    assert list(WORK) == list(STRATEGIES)


def test_a_folder_belongs_to_one_run(tmp_path):
    folder = tmp_path / "states"
    plan = Plan(seed=1, checkpoint_dir=str(folder))
    prepare_folder(plan)
    prepare_folder(plan)  # nothing has been saved yet
    Checkpoints(folder, {}, 0, 1).save(10)
    with pytest.raises(train_options.click.UsageError, match="go on from them by --resume"):
        prepare_folder(plan)
    again = Plan(seed=1, checkpoint_dir=str(folder), resume=True, epochs=99)
    prepare_folder(again)
    other = Plan(seed=1, checkpoint_dir=str(folder), resume=True, batch_size=9)
    with pytest.raises(train_options.click.UsageError, match="--batch-size was 64 there and is 9"):
        prepare_folder(other)
    assert json.loads((folder / "run.json").read_text())["seed"] == 1
    prepare_folder(Plan())  # without a folder
