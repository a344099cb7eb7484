"""save and load: nested dicts and lists of tensors, arrays and plain values, in one safe file.

The file is a zip archive, as NumPy's .npz is: one .npy per array, and `structure.json` that says where
each belongs.  Nothing in it is ever executed: no pickle, so a file from anywhere can be loaded.
"""

import io
import json
import os
import tempfile
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

from nbgrad.autograd import Parameter, Tensor
from nbgrad.errors import DtypeError, ShapeError

FORMAT = "nbgrad-1"
PLAIN = (str, int, float, bool, type(None))


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
    arrays: list[np.ndarray] = []
    structure = {"format": FORMAT, "root": encode(obj, arrays, {}, "the object")}
    if hasattr(f, "write"):
        write(f, structure, arrays)
        return
    path = Path(f)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            write(file, structure, arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def write(file: Any, structure: dict, arrays: list[np.ndarray]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("structure.json", json.dumps(structure))
        for number, array in enumerate(arrays):
            with archive.open(f"{number}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)


def encode(obj: Any, arrays: list[np.ndarray], seen: dict[int, int], where: str) -> Any:
    """The object as JSON: [kind, content]; arrays go to the list, one that occurs twice goes once."""
    if type(obj) in PLAIN:
        if isinstance(obj, float) and obj - obj != 0:
            return ["float", repr(obj)]  # nan and inf are not JSON
        return ["plain", obj]
    if isinstance(obj, Tensor):
        kind = "parameter" if isinstance(obj, Parameter) else "tensor"
        return [kind, place(obj.array, arrays, seen), bool(obj.requires_grad)]
    if isinstance(obj, np.ndarray):
        if obj.dtype.hasobject:
            raise DtypeError(
                f"{where} is an array of Python objects, which only pickle could store; convert it to numbers"
            )
        return ["array", place(obj, arrays, seen)]
    if isinstance(obj, np.generic):
        return ["scalar", place(np.asarray(obj), arrays, seen)]
    if isinstance(obj, dict):
        kind = "ordered" if isinstance(obj, OrderedDict) else "dict"
        for key in obj:
            if type(key) not in PLAIN:
                raise DtypeError(
                    f"{where} has a key of type {type(key).__name__}; keys are strings, numbers, booleans or None"
                )
        return [
            kind,
            [
                [encode(key, arrays, seen, where), encode(value, arrays, seen, f"{where}[{key!r}]")]
                for key, value in obj.items()
            ],
        ]
    if isinstance(obj, list | tuple):
        kind = "list" if isinstance(obj, list) else "tuple"
        return [
            kind,
            [encode(part, arrays, seen, f"{where}[{number}]") for number, part in enumerate(obj)],
        ]
    raise DtypeError(
        f"{where} is a {type(obj).__module__}.{type(obj).__name__}, which save can't store without pickle; for a "
        f"module or an optimizer save its state_dict()"
    )


def place(array: np.ndarray, arrays: list[np.ndarray], seen: dict[int, int]) -> int:
    if id(array) not in seen:
        seen[id(array)] = len(arrays)
        arrays.append(array)
    return seen[id(array)]


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
            return decode(structure["root"], archive, arrays)
    except (zipfile.BadZipFile, KeyError, ValueError, EOFError) as error:
        name = getattr(f, "name", f)
        raise ShapeError(
            f"{name} can't be loaded: it is not a file of nb.save, or it is damaged ({error})"
        ) from error


def decode(node: Any, archive: zipfile.ZipFile, arrays: dict[int, np.ndarray]) -> Any:
    kind, content, *more = node
    if kind == "plain":
        return content
    if kind == "float":
        return float(content)
    if kind in ("tensor", "parameter"):
        array = read(content, archive, arrays)
        return Parameter(array, more[0]) if kind == "parameter" else Tensor(array, more[0])
    if kind == "array":
        return read(content, archive, arrays)
    if kind == "scalar":
        return read(content, archive, arrays)[()]
    if kind in ("dict", "ordered"):
        pairs = [
            (decode(key, archive, arrays), decode(value, archive, arrays)) for key, value in content
        ]
        return OrderedDict(pairs) if kind == "ordered" else dict(pairs)
    if kind in ("list", "tuple"):
        parts = [decode(part, archive, arrays) for part in content]
        return parts if kind == "list" else tuple(parts)
    raise ValueError(f"unknown kind {kind!r}")


def read(number: int, archive: zipfile.ZipFile, arrays: dict[int, np.ndarray]) -> np.ndarray:
    """An array of the archive; one that occurs twice is one array again."""
    if number not in arrays:
        data = io.BytesIO(archive.read(f"{int(number)}.npy"))
        arrays[number] = np.lib.format.read_array(data, allow_pickle=False)
    return arrays[number]
