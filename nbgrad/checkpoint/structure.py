"""An object of nested containers as JSON, with its arrays apart: what files of both formats hold.

Each node is [kind, content]; where an array belongs, the content is the name it has in the file.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

from nbgrad.autograd import Parameter, Tensor
from nbgrad.errors import DtypeError

PLAIN = (str, int, float, bool, type(None))
DICTS = {dict: "dict", OrderedDict: "ordered", Counter: "counter"}


class Arrays:
    """The arrays of an object, each once.

    Parameters
    ----------
    name : callable
        `name(path, number)`: what to call an array, from the keys that lead to it and how many came before.
    """

    def __init__(self, name: Callable[[tuple, int], Any]) -> None:
        self.name = name
        self.found: dict[Any, np.ndarray] = {}
        self.names: dict[tuple, Any] = {}

    def add(self, array: np.ndarray, path: tuple) -> Any:
        """The array's name; arrays over the same elements have one name."""
        view = array.__array_interface__
        key = view["data"][0], array.shape, array.strides, view["typestr"]
        if key not in self.names:
            name = self.name(path, len(self.found))
            self.names[key], self.found[name] = name, array  # kept, so that its address stays its
        return self.names[key]


def encode(obj: Any, arrays: Arrays, path: tuple = ()) -> list:
    """The object as JSON; its arrays go to `arrays`.

    Raises
    ------
    DtypeError
        If something in it can't be stored without pickle.
    """
    if type(obj) in PLAIN:
        if isinstance(obj, float) and obj - obj != 0:
            return ["float", repr(obj)]  # nan and inf are not JSON
        return ["plain", obj]
    if isinstance(obj, Tensor):
        if obj.is_sparse:
            raise DtypeError(
                f"{spelled(path)} is a sparse tensor, which files have no room for: store it dense"
            )
        kind = "parameter" if isinstance(obj, Parameter) else "tensor"
        return [kind, arrays.add(obj.array, path), bool(obj.requires_grad)]
    if isinstance(obj, np.ndarray):
        if obj.dtype.hasobject:
            raise DtypeError(
                f"{spelled(path)} is an array of Python objects, which only pickle could store; convert it to numbers"
            )
        return ["array", arrays.add(obj, path)]
    if isinstance(obj, np.generic):
        return ["scalar", arrays.add(np.asarray(obj), path)]
    if isinstance(obj, dict):
        for key in obj:
            if type(key) not in PLAIN:
                raise DtypeError(
                    f"{spelled(path)} has a key of type {type(key).__name__}; keys are strings, numbers, booleans or None"
                )
        kind = DICTS.get(type(obj), "ordered" if isinstance(obj, OrderedDict) else "dict")
        pairs = [
            [encode(key, arrays), encode(value, arrays, (*path, key))] for key, value in obj.items()
        ]
        return [kind, pairs]
    if isinstance(obj, list | tuple):
        kind = "list" if isinstance(obj, list) else "tuple"
        return [kind, [encode(part, arrays, (*path, number)) for number, part in enumerate(obj)]]
    raise DtypeError(
        f"{spelled(path)} is a {type(obj).__module__}.{type(obj).__name__}, which can't be stored without pickle; for "
        f"a module or an optimizer save its state_dict()"
    )


def spelled(path: tuple) -> str:
    """Where in the object, as one would write it."""
    return "the object" + "".join(f"[{key!r}]" for key in path)


def decode(node: Any, read: Callable[[Any], np.ndarray]) -> Any:
    """The object again; `read(name)` gives an array.

    Raises
    ------
    ValueError
        If the JSON is not `encode`'s.
    """
    kind, content, *more = node
    if kind == "plain":
        return content
    if kind == "float":
        return float(content)
    if kind in ("tensor", "parameter"):
        array = read(content)
        return Parameter(array, more[0]) if kind == "parameter" else Tensor(array, more[0])
    if kind == "array":
        return read(content)
    if kind == "scalar":
        return read(content)[()]
    if kind in DICTS.values():
        pairs = [(decode(key, read), decode(value, read)) for key, value in content]
        (made,) = (made for made, name in DICTS.items() if name == kind)
        return made(dict(pairs)) if made is Counter else made(pairs)
    if kind in ("list", "tuple"):
        parts = [decode(part, read) for part in content]
        return parts if kind == "list" else tuple(parts)
    raise ValueError(f"unknown kind {kind!r}")
