"""Plain, read: the other end of plain.py, for bytes that nobody vouches for."""

import dataclasses
import enum
from collections.abc import Callable
from typing import Any

import numpy as np

from nbgrad.errors import RpcError
from nbgrad.rpc.plain import COMPLEX, COUNT, DEEPEST, FIRST, FLOAT, NoKinds
from nbgrad.rpc.trust import find
from nbgrad.shm.binding import DTYPES


class Reader:
    """Bytes being read; every length is checked before it is used."""

    def __init__(self, data: bytes, tensors: list, arrays: list, kinds: Any, reducers: dict):
        self.data, self.at = data, len(FIRST)
        self.tensors, self.arrays, self.kinds, self.reducers = tensors, arrays, kinds, reducers
        self.cast: dict[int, Any] = {}
        self.depth = 0

    def take(self, n_bytes: int) -> bytes:
        at = self.at
        if n_bytes > len(self.data) - at:
            raise damaged("it ends too early")
        self.at = at + n_bytes
        return self.data[at : at + n_bytes]

    def count(self) -> int:
        return COUNT.unpack(self.take(4))[0]

    def block(self) -> bytes:
        return self.take(self.count())

    def text(self) -> str:
        return self.block().decode("utf-8", "surrogatepass")

    def read(self) -> Any:
        reader = READERS.get(self.take(1))
        if reader is None:
            raise damaged("unknown tag")
        return reader(self)

    def read_all(self) -> list:
        n = self.count()
        if n > len(self.data) - self.at or self.depth >= DEEPEST:  # a value takes a byte at least
            raise damaged("too many values, or too deep")
        self.depth += 1
        found = [self.read() for _ in range(n)]
        self.depth -= 1
        return found

    def read_dict(self) -> dict:
        keys = self.read_all()
        return {key: self.read() for key in keys}

    def beside(self, known: list) -> Any:
        number = self.count()
        if number >= len(known):
            raise damaged("there is no array of that number")
        return known[number]

    def read_subclass(self) -> Any:
        number = self.count()
        kind = self.kinds.names.get(self.text())
        if kind is None or number >= len(self.tensors):
            raise damaged("unknown class of tensors")
        if number not in self.cast:
            self.cast[number] = self.kinds.cast(self.tensors[number], kind)
        return self.cast[number]

    def dtype(self) -> np.dtype:
        code = self.take(1)[0]
        if code >= len(DTYPES):
            raise damaged("unknown dtype")
        return DTYPES[code]

    def read_array(self) -> np.ndarray:
        dtype, nd = self.dtype(), self.take(1)[0]
        shape = [self.count() for _ in range(nd)]
        n_bytes = dtype.itemsize
        for length in shape:
            n_bytes *= length
        at = self.at
        if n_bytes > len(self.data) - at:
            raise damaged("it ends too early")
        self.at = at + n_bytes
        return np.frombuffer(bytearray(memoryview(self.data)[at : self.at]), dtype).reshape(shape)

    def read_number(self) -> np.generic:
        dtype = self.dtype()
        return np.frombuffer(self.take(dtype.itemsize), dtype)[0]

    def registered(self) -> type:
        found = find(self.text())
        if not isinstance(found, type):
            raise damaged("a function where a class should be")
        return found

    def read_dataclass(self) -> Any:
        kind, values = self.registered(), self.read()
        fields = dataclasses.fields(kind) if dataclasses.is_dataclass(kind) else ()
        if type(values) is not tuple or len(values) != len(fields):
            raise damaged(f"not the fields of {kind.__qualname__}")
        made: Any = object.__new__(kind)
        for field, value in zip(fields, values):
            object.__setattr__(made, field.name, value)
        return made

    def read_enum(self) -> Any:
        kind, name = self.registered(), self.read()
        if not issubclass(kind, enum.Enum) or name not in kind.__members__:
            raise damaged(f"no member of {kind.__qualname__}")
        return kind.__members__[name]

    def read_named(self) -> Any:
        kind, values = self.registered(), self.read()
        fields = getattr(kind, "_fields", None)
        if not issubclass(kind, tuple) or type(values) is not tuple or fields is None:
            raise damaged(f"{kind.__qualname__} is no named tuple")
        if len(values) != len(fields):
            raise damaged(f"not the fields of {kind.__qualname__}")
        return tuple.__new__(kind, values)

    def read_counted(self) -> Any:
        name = self.text()
        kind = next((k for k in self.reducers if f"{k.__module__}:{k.__qualname__}" == name), None)
        arguments = self.read()
        if kind is None or type(arguments) is not tuple:
            raise damaged("unknown kind of reference")
        return self.reducers[kind][2](*arguments)


READERS: dict[bytes, Callable] = {
    b"n": lambda self: None,
    b"t": lambda self: True,
    b"f": lambda self: False,
    b"i": lambda self: int.from_bytes(self.block(), "little", signed=True),
    b"d": lambda self: FLOAT.unpack(self.take(8))[0],
    b"c": lambda self: complex(*COMPLEX.unpack(self.take(16))),
    b"s": Reader.text,
    b"b": Reader.block,
    b"B": lambda self: bytearray(self.block()),
    b"(": lambda self: tuple(self.read_all()),
    b"[": Reader.read_all,
    b"<": lambda self: set(self.read_all()),
    b">": lambda self: frozenset(self.read_all()),
    b"{": Reader.read_dict,
    b"T": lambda self: self.beside(self.tensors),
    b"P": Reader.read_subclass,
    b"A": lambda self: self.beside(self.arrays),
    b"a": Reader.read_array,
    b"y": Reader.read_number,
    b"Y": Reader.dtype,
    b"F": lambda self: find(self.text()),
    b"D": Reader.read_dataclass,
    b"E": Reader.read_enum,
    b"N": Reader.read_named,
    b"R": Reader.read_counted,
}


def damaged(why: str) -> RpcError:
    return RpcError(f"a message can't be read: {why}. Do all workers run the same version?")


def read(data: bytes, tensors: list, arrays: list, kinds: Any, reducers: dict) -> Any:
    """The value that `write` took apart.

    Raises
    ------
    RpcError
        If the bytes are not what `write` writes.
    NotRegistered
        If they name a function or class that is not registered here.
    """
    reader = Reader(data, tensors, arrays, kinds, reducers)
    try:
        value = reader.read()
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise damaged(f"{type(error).__name__}: {error}") from error
    if reader.at != len(data):
        raise damaged("there is more in it than a value")
    return value


def loads(data: bytes) -> Any:
    """The value of `dumps`.

    Raises
    ------
    RpcError
        If the bytes are not what `dumps` writes.
    """
    return read(data, [], [], NoKinds, {})
