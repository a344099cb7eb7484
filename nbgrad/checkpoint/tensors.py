"""save_file and load_file: nested dicts and lists in one safetensors file, which other programs can read, too.

The tensors have the names of the keys that lead to them ("model.0.weight"); the file's metadata say what else the object
held and a checksum per tensor.  Nothing in it is ever executed.
"""

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from nbgrad.checkpoint.atomic import replace
from nbgrad.checkpoint.structure import Arrays, decode, encode
from nbgrad.errors import CheckpointError, DtypeError

FORMAT = "nbgrad-checkpoint-1"
LONGEST_BYTES = 8  # of an element


def save_file(obj: Any, path: str | Path) -> None:
    """Write an object to a safetensors file; the old file stays until the new one is whole and on the disk.

    Parameters
    ----------
    obj : dict, list, tuple, Tensor, ndarray, number, string or None
        Nested as deep as you like.
    path : str or Path
        Where to.

    Raises
    ------
    DtypeError
        If something in it can't be stored.
    OSError
        If there is no room.

    Examples
    --------
    >>> import os, tempfile, nbgrad as nb
    >>> from nbgrad.checkpoint import load_file, save_file
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_file({"step": 3, "w": nb.ones(2)}, os.path.join(folder, "a.safetensors"))
    ...     load_file(os.path.join(folder, "a.safetensors"))
    {'step': 3, 'w': tensor([1., 1.])}
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file as write

    names: set[str] = set()
    arrays = Arrays(lambda path, number: unused(path, names))
    root = encode(obj, arrays)
    content = {name: storable(array, name) for name, array in arrays.found.items()}
    metadata = {
        "format": FORMAT,
        "structure": json.dumps(root),
        "crc32": json.dumps({name: checksum(array) for name, array in content.items()}),
    }
    try:
        replace(path, lambda name: write(content, name, metadata))
    except SafetensorError as error:
        raise OSError(f"{path} can't be written, the old file is as it was: {error}") from error


def storable(array: np.ndarray, name: str) -> np.ndarray:
    """The array as the library writes it: its elements as they lie in memory, whatever strides and byte order say."""
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > LONGEST_BYTES:
        raise DtypeError(
            f"{name} is an array of {array.dtype}, which safetensors has no room for; booleans, integers and floats of at "
            f"most 64 bits can be stored"
        )
    return np.require(array, array.dtype.newbyteorder("="), "C")


def unused(path: tuple, names: set[str]) -> str:
    """The keys joined by dots, and a number where that is a name already."""
    stem = name = ".".join(map(str, path)) or "value"
    count = 1
    while name in names:
        count += 1
        name = f"{stem}#{count}"
    names.add(name)
    return name


def checksum(array: np.ndarray) -> int:
    return zlib.crc32(array.reshape(-1).view(np.uint8).data)


def load_file(path: str | Path) -> Any:
    """Read what `save_file` wrote.

    Returns
    -------
    The object; tensors are leaves.

    Raises
    ------
    CheckpointError
        If the file is not there, damaged, or of another program.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="numpy") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise ValueError(
                    f"its format is {metadata.get('format')!r}, this nbgrad reads {FORMAT!r}; a file of weights alone is "
                    f"read by safetensors.numpy.load_file"
                )
            sums, arrays = json.loads(metadata["crc32"]), {}
            for name in file.keys():  # noqa: SIM118 - not a dict
                arrays[name] = file.get_tensor(name)
                if checksum(np.require(arrays[name], requirements="C")) != sums[name]:
                    raise ValueError(f"the checksum of {name!r} is wrong")
        return decode(json.loads(metadata["structure"]), arrays.__getitem__)
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise CheckpointError(
            f"{path} can't be loaded: it is not a checkpoint, or it is damaged ({error})"
        ) from error
