"""Codec: Python values to arrays and bytes, and back.

A message carries arrays (through the wire, in place where they lie in an arena) and at most one bytes object.  A call
whose arguments are all tensors has no bytes at all; everything else is pickled (protocol 5), its tensors and arrays
taken out of band and replaced by their index.  Tensors are known here only as a registered type with an array.
"""

import io
import pickle
from typing import Any

import numpy as np

from nbgrad.errors import NotRegistered, ProtocolError, RpcEncodeError
from nbgrad.rpc import plain as plain_codec
from nbgrad.rpc import plain_read
from nbgrad.rpc.message import PARTS
from nbgrad.rpc.plain import FIRST
from nbgrad.rpc.trust import Trust
from nbgrad.shm.binding import CODES
from nbgrad.shm.record import MAX_ND


class Tensors:
    """How tensors, and their arrays that are sparse, are recognised; `dist_autograd` sets the classes from above."""

    kind: type = type("NoTensors", (), {})
    names: dict[str, type] = {}  # subclasses that travel also where only registered classes do
    cast: Any = None  # function(tensor, subclass): the same tensor as an instance of a subclass
    sparse: Any = type("NoSparseArrays", (), {})  # with `parts()` and `of_parts(*parts)`


class Box:
    """The arrays and tensors of one message while it is pickled or unpickled."""

    __slots__ = ("arrays", "cast", "counted", "tensors")

    def __init__(self, tensors: list, arrays: list):
        self.tensors, self.arrays = tensors, arrays
        self.cast: dict = {}  # number of a tensor -> it as an instance of its subclass
        self.counted: list = []  # objects that a reducer of `reducers` has counted into the message


# Objects that are counted while a message carries them (RRefs): type -> (its reduce function, which counts; one that takes
# the count back, for a message that is never posted; and one that makes the object of what the first told).
reducers: dict = {}
marks: list[bytes] = []  # bytes that the pickle of such an object contains


class Pickler(pickle.Pickler):
    """Pickles with tensors and arrays out of band."""

    def __init__(self, file, box):
        super().__init__(file, 5)
        self.box = box

    def persistent_id(self, value: Any) -> Any:
        if isinstance(value, Tensors.kind):
            kind = type(value)
            for k, known in enumerate(
                self.box.tensors
            ):  # the same object twice is one tensor there, too
                if known is value:
                    return k if kind is Tensors.kind else (k, kind)
            self.box.tensors.append(value)
            k = len(self.box.tensors) - 1
            return k if kind is Tensors.kind else (k, kind)
        if type(value) is np.ndarray:
            for k, known in enumerate(self.box.arrays):
                if known is value:
                    return -1 - k
            self.box.arrays.append(value)
            return -len(self.box.arrays)
        return None

    def reducer_override(self, value: Any) -> Any:
        functions = reducers.get(type(value))
        if functions is None:
            return NotImplemented
        self.box.counted.append(value)
        return functions[0](value)


class Unpickler(pickle.Unpickler):
    """The other end of `Pickler`."""

    def __init__(self, file, box):
        super().__init__(file)
        self.box = box

    def persistent_load(self, k: Any) -> Any:
        box = self.box
        if type(k) is tuple:  # a tensor of a subclass
            k, kind = k
            if k not in box.cast and box.tensors[k] is not None:
                box.cast[k] = Tensors.cast(box.tensors[k], kind)
            return box.cast.get(k)
        return box.tensors[k] if k >= 0 else box.arrays[-1 - k]


class Form:
    """How values of this process's group travel; `init_rpc` sets it."""

    pickler: type = Pickler


def encode(value: Any, what: str) -> tuple[bytes, list, list]:
    """(bytes, tensors, other arrays) of any value, or of a plain one in a group of trust "registered".

    Raises
    ------
    RpcEncodeError
        If something in it can't be pickled, with the reason; the original error is its cause.
    """
    if Trust.only_registered:
        return plain_codec.write(value, what, Tensors, reducers)
    box = Box([], [])
    file = io.BytesIO()
    try:
        Form.pickler(file, box).dump(value)
    except Exception as error:
        for carried in box.counted:
            reducers[type(carried)][1](carried)
        if isinstance(error, RpcEncodeError):
            raise
        raise RpcEncodeError(explain(error, what)) from error
    return file.getvalue(), box.tensors, box.arrays


def explain(error: Exception, what: str) -> str:
    text = str(error)
    hint = ""
    if "<lambda>" in text or "<locals>" in text or "local object" in text:
        hint = (
            " Functions travel by name, so a lambda or a function defined inside another can't: define it at the top "
            "level of a module that both workers import, or start the group with pickler='cloudpickle', which sends code."
        )
    return f"can't send {what} to another worker: {type(error).__name__}: {text}.{hint}"


def decode(data: bytes, tensors: list, arrays: list) -> Any:
    """The value that `encode` took apart.

    Raises
    ------
    NotRegistered
        If it is pickled, and this group's trust is "registered".
    """
    if data[:1] == FIRST:
        return plain_read.read(data, tensors, arrays, Tensors, reducers)
    if Trust.only_registered:
        raise NotRegistered(
            "a pickled message is refused: this worker was started with trust='registered', where arguments and results are "
            "plain values. Start all workers with the same trust"
        )
    return Unpickler(io.BytesIO(data), Box(tensors, arrays)).load()


def discard(data: bytes | None, n_tensors: int, n_arrays: int) -> None:
    """A message that nobody gets: give back what is counted in it."""
    if data is None or not any(mark in data for mark in marks):
        return
    try:
        decode(
            data, [None] * n_tensors, [None] * n_arrays
        )  # objects take the counts over, and go at once
    except Exception:
        pass  # made of None they may well refuse; what was counted before that is given back


def readable(arrays: tuple, kind: int) -> tuple[tuple, int]:
    """Arrays as the wire takes them, and the kind of their message: a sparse one goes as its parts."""
    if not any(isinstance(a, Tensors.sparse) for a in arrays):
        return tuple([plain(a, "an array") for a in arrays]), kind
    parts = [a.parts() if isinstance(a, Tensors.sparse) else (a,) for a in arrays]
    flat = [plain(a, "an array") for group in parts for a in group]
    return (*flat, np.array([len(group) for group in parts])), kind | PARTS


def joined(arrays: tuple) -> tuple:
    """The arrays of a message whose kind says PARTS, sparse ones whole again.

    Raises
    ------
    ProtocolError
        If they are not what `readable` makes.
    """
    try:
        *flat, lengths = arrays
        ends = np.cumsum(lengths).tolist()
        if ends[-1] != len(flat):
            raise ValueError(f"the parts of {lengths.tolist()} arrays")
        groups = [flat[end - n : end] for n, end in zip(lengths.tolist(), ends)]
        return tuple(
            [Tensors.sparse.of_parts(*group) if len(group) > 1 else group[0] for group in groups]
        )
    except (ValueError, IndexError, TypeError) as error:
        raise ProtocolError(
            f"a message of {len(arrays)} arrays, some of them sparse, holds what no worker writes: {error}"
        ) from error


def plain(array: np.ndarray, what: str) -> np.ndarray:
    """The array as the wire takes it: exact type, C-contiguous, native byte order, a dtype that travels.

    Raises
    ------
    RpcEncodeError
        For dtypes that don't: object, structured, big-endian and so on.
    """
    dtype = array.dtype
    if dtype not in CODES or not dtype.isnative:
        raise RpcEncodeError(
            f"can't send {what}: an array of dtype {dtype} (shape {array.shape}) does not travel between workers. "
            f"Dtypes that do: {', '.join(str(d) for d in CODES)}; convert it with .astype()"
        )
    if array.ndim > MAX_ND:
        raise RpcEncodeError(
            f"can't send {what}: it has {array.ndim} dimensions, and at most {MAX_ND} travel between workers; reshape it"
        )
    canonical = np.dtype(dtype.str)
    fitted = np.ascontiguousarray(array).reshape(
        array.shape
    )  # (ascontiguousarray makes 0-d arrays 1-d)
    if type(fitted) is not np.ndarray:
        fitted = fitted.view(np.ndarray)
    return fitted if fitted.dtype is canonical else fitted.view(canonical)
