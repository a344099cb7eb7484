"""Tables from files: what is read, what becomes of words, and each refusal."""

import sys

import numpy as np
import pytest
from pyarrow import csv, parquet
from pyarrow import table as arrow_table

from nbgrad.data.table import table
from nbgrad.errors import DtypeError, ShapeError

COLUMNS = {
    "size": np.arange(20, dtype=np.int64),
    "fast": np.arange(20) % 3 == 0,
    "colour": np.array(["red", "green"] * 10),
    "price": np.arange(20) * 0.5 + 1.0,
}


def write(path, columns):
    """A file of that suffix."""
    if path.suffix == ".npz":
        np.savez(path, **columns)
    elif path.suffix in (".parquet", ".pq"):
        parquet.write_table(arrow_table(columns), path)
    else:
        delimiter = "\t" if path.suffix == ".tsv" else ","
        csv.write_csv(arrow_table(columns), path, csv.WriteOptions(delimiter=delimiter))
    return path


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.parquet", "a.pq", "a.npz", "A.CSV"])
def test_all_kinds_of_files_give_the_same_table(tmp_path, name):
    path = tmp_path / name
    write(path.with_suffix(path.suffix.lower()), COLUMNS)
    path.with_suffix(path.suffix.lower()).rename(path)
    found = table(path)
    assert found.inputs == ("size", "fast", "colour=green", "colour=red")
    assert found.target == "price"
    assert (found.train_x.shape, found.test_x.shape) == ((16, 4), (4, 4))
    assert found.train_x.dtype == found.train_y.dtype == np.float32
    x = np.concatenate([found.train_x, found.test_x])
    y = np.concatenate([found.train_y, found.test_y])
    x, y = x[np.argsort(y)], np.sort(y)
    assert x[:, 0].tolist() == list(range(20))
    assert x[:, 1].tolist() == COLUMNS["fast"].tolist()
    assert x[:, 2].tolist() == [0, 1] * 10
    assert y.tolist() == COLUMNS["price"].tolist()


def test_target_and_seed(tmp_path):
    path = write(tmp_path / "a.npz", COLUMNS)
    found = table(path, "size", seed=3)
    assert found.inputs == ("fast", "colour=green", "colour=red", "price")
    assert found.test_y.tolist() == table(path, "size", seed=3).test_y.tolist()
    assert found.test_y.tolist() != table(path, "size", seed=4).test_y.tolist()


def test_arrays_of_two_dimensions_are_several_columns(tmp_path):
    columns = {"x": np.arange(20.0).reshape(10, 2), "y": np.arange(10.0)}
    found = table(write(tmp_path / "a.npz", columns))
    assert (found.inputs, found.target) == (("x0", "x1"), "y")


REFUSALS = {
    "no target": ({}, "cost", ShapeError, "has no column 'cost'; it has size, fast"),
    "words as target": ({}, "colour", DtypeError, "the target 'colour' .* no column of numbers"),
    "a hole": (
        {"size": np.array([np.nan] * 2 + [1.0] * 18)},
        None,
        ShapeError,
        "column 'size' of .* lacks 2 of its 20 values",
    ),
    "names": (
        {"colour": np.array([f"car {k}" for k in range(20)] * 2)},
        None,
        ShapeError,
        "differ in length",
    ),
    "one row": (
        {name: column[:1] for name, column in COLUMNS.items()},
        None,
        ShapeError,
        "has 1 rows",
    ),
    "dates": (
        {"fast": np.arange(20).astype("datetime64[D]")},
        None,
        DtypeError,
        "column 'fast' of .* neither numbers nor words: it holds date",
    ),
    "a cube": ({"fast": np.zeros((20, 2, 2))}, None, ShapeError, r"'fast' has shape \(20, 2, 2\)"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_makes_no_table_is_refused(tmp_path, name):
    changed, target, error, match = REFUSALS[name]
    path = write(tmp_path / "a.npz", COLUMNS | changed)
    with pytest.raises(error, match=match):
        table(path, target)


def test_too_many_words_are_refused(tmp_path):
    columns = {"name": np.array([f"car {k}" for k in range(40)]), "y": np.arange(40.0)}
    with pytest.raises(DtypeError, match="'name' of .* has 40 different words"):
        table(write(tmp_path / "a.npz", columns))


def test_a_hole_in_a_parquet_file_is_seen(tmp_path):
    parquet.write_table(arrow_table({"a": [1, None, 3], "b": [1, 2, 3]}), tmp_path / "a.parquet")
    with pytest.raises(ShapeError, match="'a' of .* lacks 1 of its 3 values"):
        table(tmp_path / "a.parquet")


def test_files_that_are_none(tmp_path):
    with pytest.raises(ShapeError, match="ends in '.xls'"):
        table(tmp_path / "a.xls")
    with pytest.raises(FileNotFoundError):
        table(tmp_path / "a.csv")
    (tmp_path / "a.parquet").write_text("no")
    with pytest.raises(ShapeError, match="can't be read as a .parquet file"):
        table(tmp_path / "a.parquet")
    write(tmp_path / "b.npz", {"only": np.arange(3.0)})
    with pytest.raises(ShapeError, match="has 1 columns"):
        table(tmp_path / "b.npz")


def test_without_the_library_the_command_is_told(tmp_path, monkeypatch):
    path = write(tmp_path / "a.csv", COLUMNS)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"pip install 'nbgrad\[data\]'"):
        table(path)
