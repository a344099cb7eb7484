"""Plain: a codec for values that needs no pickle, and runs no code of what it reads.

A value is a tag byte and its content; containers hold values.  Tensors and arrays of a message lie beside it, and are
referred to by their number; `dumps` has no place beside it and writes arrays inline.

    n t f       None, True, False            ( [ { < >   tuple, list, dict, set, frozenset: count, values
    i d c       int, float, complex          T P A       tensor, tensor of a subclass, array: its number
    s b B       str, bytes, bytearray        a y Y       array inline, NumPy number, dtype
    F           function or class, by its registered name
    D E N       instance of a registered dataclass, enum, named tuple
    R           counted object (RRef), by its own rule

Only registered classes are made, field by field: no constructor runs, nor `__setstate__` or the like.  Identity is kept for
tensors and arrays; other values that occur twice arrive twice, and one that contains itself is refused.
"""

import dataclasses
import enum
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from nbgrad.errors import RpcEncodeError
from nbgrad.rpc.trust import name_of_registered
from nbgrad.shm.binding import CODES

FIRST = b"\x01"  # of the bytes of a value; a pickle begins with 0x80
DEEPEST = 200
COUNT, FLOAT, COMPLEX = struct.Struct("<I"), struct.Struct("<d"), struct.Struct("<dd")


class Refused(Exception):
    """A value that can't be written; `path` says where it is."""

    def __init__(self, reason: str):
        super().__init__(reason)
        self.path: list[str] = []


class Writer:
    """One value being written."""

    def __init__(self, kinds: Any, reducers: dict, inline: bool):
        self.kinds, self.reducers, self.inline = kinds, reducers, inline
        self.out = bytearray(FIRST)
        self.tensors: list = []
        self.arrays: list = []
        self.counted: list = []
        self.depth = 0

    def write(self, value: Any) -> None:
        writer = WRITERS.get(type(value))
        if writer is not None:
            writer(self, value)
        else:
            self.write_other(value)

    def write_all(self, tag: bytes, values: Any, place: str = "[{}]") -> None:
        """A container of `values`; `place` is how a path names one of them."""
        if self.depth >= DEEPEST:
            raise Refused(f"it is nested more than {DEEPEST} deep, or contains itself")
        self.depth += 1
        values = list(values)
        self.out += tag + COUNT.pack(len(values))
        for k, value in enumerate(values):
            try:
                self.write(value)
            except Refused as refused:
                refused.path.append(place.format(k))
                raise
        self.depth -= 1

    def write_text(self, tag: bytes, text: str) -> None:
        data = text.encode("utf-8", "surrogatepass")
        self.out += tag + COUNT.pack(len(data)) + data

    def write_bytes(self, tag: bytes, data: Any) -> None:
        self.out += tag + COUNT.pack(len(data)) + data

    def write_int(self, value: int) -> None:
        self.write_bytes(b"i", value.to_bytes((value.bit_length() + 8) // 8, "little", signed=True))

    def write_dict(self, value: dict) -> None:
        self.write_all(b"{", value.keys(), "key {}")
        self.depth += 1
        for key, item in value.items():
            try:
                self.write(item)
            except Refused as refused:
                refused.path.append(f"[{key!r:.40}]")
                raise
        self.depth -= 1

    def number_of(self, value: Any, known: list) -> bytes:
        """The number of a tensor or array beside the bytes, the same for the same object."""
        for k, other in enumerate(known):
            if other is value:
                return COUNT.pack(k)
        known.append(value)
        return COUNT.pack(len(known) - 1)

    def write_array(self, value: np.ndarray) -> None:
        if not self.inline:
            self.out += b"A" + self.number_of(value, self.arrays)
            return
        if value.dtype not in CODES or not value.dtype.isnative:
            raise Refused(f"an array of dtype {value.dtype} does not travel between workers")
        data = np.ascontiguousarray(value)
        self.out += b"a" + bytes([CODES[np.dtype(value.dtype.str)], value.ndim])
        for length in value.shape:
            self.out += COUNT.pack(length)
        self.out += data.tobytes()

    def write_other(self, value: Any) -> None:
        """What is not of one of the plain types."""
        kind = type(value)
        if isinstance(value, self.kinds.kind) and not self.inline:
            number = self.number_of(value, self.tensors)
            if kind is self.kinds.kind:
                self.out += b"T" + number
            elif self.kinds.names.get(kind.__name__) is kind:
                self.write_text(b"P" + number, kind.__name__)
            else:
                raise Refused(f"tensors of class {kind.__qualname__} do not travel here")
        elif isinstance(value, np.generic):
            code = CODES.get(value.dtype)
            if code is None:
                raise Refused(f"a NumPy number of dtype {value.dtype} does not travel")
            self.out += b"y" + bytes([code]) + value.tobytes()
        elif isinstance(value, np.dtype) and value in CODES and value.isnative:
            self.out += b"Y" + bytes([CODES[value]])
        elif kind in self.reducers:
            _, arguments = self.reducers[kind][0](value)
            self.counted.append(value)
            self.write_text(b"R", f"{kind.__module__}:{kind.__qualname__}")
            self.write(tuple(arguments))
        elif callable(value) and name_of_registered(value) is not None:
            self.write_text(b"F", name_of_registered(value))  # type: ignore[arg-type]
        else:
            self.write_instance(value, kind)

    def write_instance(self, value: Any, kind: type) -> None:
        name = name_of_registered(kind)
        if name is None:
            what = getattr(value, "__qualname__", None)
            raise Refused(
                f"{what or kind.__qualname__} is not registered: put @rpc.register above "
                f"{'it' if what else 'that class'}, or send plain values"
            )
        if isinstance(value, enum.Enum):
            self.write_text(b"E", name)
            self.write_text(b"s", value.name)
        elif dataclasses.is_dataclass(kind):
            self.write_text(b"D", name)
            fields = dataclasses.fields(kind)
            self.write_all(b"(", [getattr(value, field.name) for field in fields], f".{name} {{}}")
        elif isinstance(value, tuple) and hasattr(kind, "_fields"):
            self.write_text(b"N", name)
            self.write_all(b"(", value)
        else:
            raise Refused(
                f"instances of {kind.__qualname__} do not travel, though it is registered: only those of dataclasses, enums "
                f"and named tuples do"
            )


WRITERS: dict[type, Callable] = {
    type(None): lambda self, value: self.out.extend(b"n"),
    bool: lambda self, value: self.out.extend(b"t" if value else b"f"),
    int: Writer.write_int,
    float: lambda self, value: self.out.extend(b"d" + FLOAT.pack(value)),
    complex: lambda self, value: self.out.extend(b"c" + COMPLEX.pack(value.real, value.imag)),
    str: lambda self, value: self.write_text(b"s", value),
    bytes: lambda self, value: self.write_bytes(b"b", value),
    bytearray: lambda self, value: self.write_bytes(b"B", value),
    tuple: lambda self, value: self.write_all(b"(", value),
    list: lambda self, value: self.write_all(b"[", value),
    set: lambda self, value: self.write_all(b"<", value, " member {}"),
    frozenset: lambda self, value: self.write_all(b">", value, " member {}"),
    dict: Writer.write_dict,
    np.ndarray: Writer.write_array,
}


def write(value: Any, what: str, kinds: Any, reducers: dict) -> tuple[bytes, list, list]:
    """(bytes, tensors, arrays) of a value.

    Raises
    ------
    RpcEncodeError
        If something in it is no plain value; it says where.
    """
    writer = Writer(kinds, reducers, inline=False)
    try:
        writer.write(value)
    except Refused as refused:
        for counted in writer.counted:
            reducers[type(counted)][1](counted)
        raise RpcEncodeError(explain(refused, what)) from None
    return bytes(writer.out), writer.tensors, writer.arrays


def explain(refused: Refused, what: str) -> str:
    where = "".join(reversed(refused.path))
    return f"can't send {what} to another worker{f' (at {where})' if where else ''}: {refused}"


class NoKinds:
    """For `dumps` and `loads`: no tensors."""

    kind: type = type("NoTensors", (), {})
    names: dict = {}


def dumps(value: Any) -> bytes:
    """Bytes of plain values and arrays.

    Raises
    ------
    RpcEncodeError
        If something in it is not that.

    Examples
    --------
    >>> from nbgrad.rpc import plain, plain_read
    >>> plain_read.loads(plain.dumps({"a": (1, 2.5, None)}))
    {'a': (1, 2.5, None)}
    """
    writer = Writer(NoKinds, {}, inline=True)
    try:
        writer.write(value)
    except Refused as refused:
        raise RpcEncodeError(explain(refused, "a value")) from None
    return bytes(writer.out)
