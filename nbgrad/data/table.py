"""Tables: columns of numbers from a CSV, Parquet or NPZ file, cut into inputs and a target, to train on and to test on.

pyarrow (extra `data`) reads CSV and Parquet; NPZ needs NumPy only.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nbgrad.errors import DtypeError, ShapeError

TEXTS = {".csv": ",", ".tsv": "\t"}  # suffix: what separates columns
PARQUET = (".parquet", ".pq")
MOST_KINDS = 32  # of words in a column; each becomes a column of 0 and 1
TEST_PART = 0.2


@dataclass(frozen=True)
class Table:
    """Rows of inputs, each with a number that is to be told from them."""

    inputs: tuple[str, ...]  #: names of the columns of x
    target: str  #: name of y
    train_x: np.ndarray  #: float32, shape (n, columns), in the units of the file
    train_y: np.ndarray  #: float32, shape (n,)
    test_x: np.ndarray  #: float32, shape (m, columns)
    test_y: np.ndarray  #: float32, shape (m,)


def table(path: str | Path, target: str | None = None, seed: int = 0) -> Table:
    """Read a file; a random fifth of its rows is the part to test on.

    Parameters
    ----------
    path : str or Path
        A .csv or .tsv file with a line of names, a .parquet or .pq file, or an .npz file whose arrays are columns (or have
        several in their second dimension).
    target : str, optional
        The column that is to be told from the others; the last one by default.
    seed : int
        Draws the rows to test on.

    Returns
    -------
    Table
        Columns of words (at most 32 kinds) have become one column of 0 and 1 per kind.

    Raises
    ------
    ImportError
        If pyarrow is needed and not installed.
    OSError
        If the file can't be read.
    ShapeError
        If columns differ in length, the target is not there, values are missing, or there are fewer than two rows.
    DtypeError
        If a column is neither numbers nor words, or has too many kinds of words.

    Examples
    --------
    >>> import numpy as np, pathlib, tempfile
    >>> from nbgrad.data import table
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "boxes.npz")
    ...     np.savez(path, size=np.arange(10.0), colour=np.array(["red", "blue"] * 5), price=np.ones(10))
    ...     found = table(path)
    >>> found.inputs, found.target, found.train_x.shape, found.test_x.shape
    (('size', 'colour=blue', 'colour=red'), 'price', (8, 3), (2, 3))
    """
    columns = read_columns(Path(path))
    return cut(columns, target, seed, str(path))


def read_columns(path: Path) -> dict[str, np.ndarray]:
    """Columns of a file, as they are there."""
    suffix = path.suffix.lower()
    if suffix == ".npz":
        with np.load(path, allow_pickle=False) as arrays:
            return dict(part for name in arrays.files for part in flat(name, arrays[name]))
    if suffix in TEXTS or suffix in PARQUET:
        return arrow_columns(path, suffix)
    raise ShapeError(
        f"{path} ends in {suffix or 'nothing'!r}; .csv, .tsv, .parquet, .pq and .npz files can be read as tables"
    )


def flat(name: str, array: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """The columns of an array: itself, or those of its second dimension."""
    if array.ndim == 1:
        return [(name, array)]
    if array.ndim == 2:
        return [(f"{name}{k}", column) for k, column in enumerate(array.T)]
    raise ShapeError(
        f"the array {name!r} has shape {array.shape}; one or two dimensions are wanted"
    )


def arrow_columns(path: Path, suffix: str) -> dict[str, np.ndarray]:
    """Columns of a CSV or Parquet file."""
    try:
        import pyarrow
        from pyarrow import csv, parquet
    except ImportError as error:
        raise ImportError(
            f"{suffix} files are read by pyarrow, which is not installed: pip install 'nbgrad[data]'. "
            f".npz files need nothing more"
        ) from error
    try:
        if suffix in PARQUET:
            found = parquet.read_table(path)
        else:
            found = csv.read_csv(path, parse_options=csv.ParseOptions(delimiter=TEXTS[suffix]))
    except pyarrow.ArrowInvalid as error:
        raise ShapeError(f"{path} can't be read as a {suffix} file: {error}") from error
    return {name: found[name].to_numpy() for name in found.column_names}


def cut(columns: Mapping[str, np.ndarray], target: str | None, seed: int, where: str) -> Table:
    """Columns as a table; `where` they come from is said in errors."""
    names = list(columns)
    if len(names) < 2:
        raise ShapeError(f"{where} has {len(names)} columns; inputs and a target are wanted")
    target = names[-1] if target is None else target
    if target not in columns:
        raise ShapeError(f"{where} has no column {target!r}; it has {', '.join(names)}")
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ShapeError(f"the columns of {where} differ in length: {lengths}")
    n = lengths[target]
    if n < 2:
        raise ShapeError(f"{where} has {n} rows; some to train on and some to test on are wanted")
    y = columns[target]
    if y.dtype.kind not in "biuf":
        raise DtypeError(f"the target {target!r} of {where} is no column of numbers")
    wide = {target: y}
    for name in names:
        if name != target:
            wide.update(numeric(name, columns[name], where))
    for name, column in wide.items():
        if missing := int(n - np.isfinite(column.astype(float)).sum()):
            raise ShapeError(
                f"column {name!r} of {where} lacks {missing} of its {n} values, or they are infinite: fill them, or leave "
                f"those rows out"
            )
    y = wide.pop(target).astype(np.float32)
    x = np.stack(list(wide.values()), axis=1).astype(np.float32)
    order = np.random.default_rng(seed).permutation(n)
    n_test = max(1, round(n * TEST_PART))
    test, train = np.sort(order[:n_test]), np.sort(order[n_test:])
    return Table(tuple(wide), target, x[train], y[train], x[test], y[test])


def numeric(name: str, column: np.ndarray, where: str) -> dict[str, Any]:
    """The column, or one of 0 and 1 per kind of word in it."""
    if column.dtype.kind in "biuf":
        return {name: column}
    words = column.tolist()
    if not all(isinstance(word, str) for word in words):
        raise DtypeError(
            f"column {name!r} of {where} is neither numbers nor words: it holds {type(words[0]).__name__}, or values are "
            f"missing"
        )
    kinds = sorted(set(words))
    if len(kinds) > MOST_KINDS:
        raise DtypeError(
            f"column {name!r} of {where} has {len(kinds)} different words, and at most {MOST_KINDS} can become columns: "
            f"leave it out of the file"
        )
    return {f"{name}={kind}": np.array([word == kind for word in words]) for kind in kinds}
