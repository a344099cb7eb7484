"""save and load: nested dicts and lists of tensors, arrays and plain values, in one safe file.

The file is a zip archive, as NumPy's .npz is: one .npy per array, and `structure.json` that says where
each belongs.  Nothing in it is ever executed: no pickle, so a file from anywhere can be loaded.
"""

import io
import json
import zipfile
from typing import Any

import numpy as np

from nbgrad.checkpoint.atomic import replace
from nbgrad.checkpoint.structure import Arrays, decode, encode
from nbgrad.errors import ShapeError

FORMAT = "nbgrad-1"


def save(obj: Any, f: Any) -> None:
    """Write an object to a file; the old file stays until the new one is whole.

    Parameters
    ----------
    obj : dict, list, tuple, Tensor, ndarray, number, string or None
        Nested as deep as you like; keys of dicts are strings, integers, floats, booleans or None.
    f : path or binary file
        Where to.

    Raises
    ------
    DtypeError
        If something in it can't be stored without pickle.

    Examples
    --------
    >>> import io, nbgrad as nb
    >>> file = io.BytesIO()
    >>> nb.save({"step": 3, "w": nb.ones(2)}, file)
    >>> _ = file.seek(0)
    >>> nb.load(file)
    {'step': 3, 'w': tensor([1., 1.])}
    """
    arrays = Arrays(lambda path, number: number)
    structure = {"format": FORMAT, "root": encode(obj, arrays)}
    if hasattr(f, "write"):
        write(f, structure, arrays)
    else:
        replace(f, lambda name: write(name, structure, arrays))


def write(file: Any, structure: dict, arrays: Arrays) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("structure.json", json.dumps(structure))
        for number, array in arrays.found.items():
            with archive.open(f"{number}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)


def load(f: Any, map_location: Any = None, weights_only: bool = True) -> Any:
    """Read what `save` wrote.

    Parameters
    ----------
    f : path or binary file
        Where from.
    map_location, weights_only
        Accepted for PyTorch programs; nothing is ever unpickled.

    Returns
    -------
    The object; tensors are leaves.

    Raises
    ------
    ShapeError
        If the file is damaged or was not written by `save`.

    Examples
    --------
    >>> import io, nbgrad as nb
    >>> file = io.BytesIO()
    >>> nb.save([1, "two"], file)
    >>> _ = file.seek(0)
    >>> nb.load(file)
    [1, 'two']
    """
    try:
        with zipfile.ZipFile(f) as archive:
            structure = json.loads(archive.read("structure.json"))
            if structure.get("format") != FORMAT:
                raise ValueError(
                    f"format {structure.get('format')!r}, this nbgrad reads {FORMAT!r}"
                )
            arrays: dict[int, np.ndarray] = {}
            return decode(structure["root"], lambda number: read(number, archive, arrays))
    except (zipfile.BadZipFile, KeyError, ValueError, EOFError) as error:
        name = getattr(f, "name", f)
        raise ShapeError(
            f"{name} can't be loaded: it is not a file of nb.save, or it is damaged ({error})"
        ) from error


def read(number: int, archive: zipfile.ZipFile, arrays: dict[int, np.ndarray]) -> np.ndarray:
    """An array of the archive; one that occurs twice is one array again."""
    if number not in arrays:
        data = io.BytesIO(archive.read(f"{int(number)}.npy"))
        arrays[number] = np.lib.format.read_array(data, allow_pickle=False)
    return arrays[number]
