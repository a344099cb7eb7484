"""Reducers: what adds up the members' data, per operation and dtype.

out = a + b              COMBINING: the first two members
out = out + b            ADDING: each further member
out = out / n            at the end, for an average

Sums and averages of two members have a form of whole lines (lines.py), with the same bits in one pass.
"""

from enum import IntEnum

import numpy as np

from nbgrad.collectives.rounds import COMBINING
from nbgrad.errors import DtypeError
from nbgrad.jit.lines import lines
from nbgrad.jit.routine import routine

__all__ = ["PAIRS", "ReduceOp", "reducer"]


class ReduceOp(IntEnum):
    """How the members' values become one.

    SUM, PRODUCT, MIN, MAX for all dtypes (booleans: or, and, and, or); AVG is the sum divided by the number of members, for
    floating-point; BAND, BOR, BXOR for integers and booleans.  MIN and MAX give NaN where a member has NaN.

    Examples
    --------
    >>> from nbgrad.distributed import ReduceOp
    >>> ReduceOp.SUM.name
    'SUM'
    """

    SUM = 0
    AVG = 1
    PRODUCT = 2
    MIN = 3
    MAX = 4
    BAND = 5
    BOR = 6
    BXOR = 7


BITS = (ReduceOp.BAND, ReduceOp.BOR, ReduceOp.BXOR)
ON_BOOL = {  # a boolean is a byte of 0 or 1
    ReduceOp.SUM: ReduceOp.MAX,
    ReduceOp.PRODUCT: ReduceOp.MIN,
    ReduceOp.BAND: ReduceOp.MIN,
    ReduceOp.BOR: ReduceOp.MAX,
}
FLOATS = ("float32", "float64")
INTEGERS = ("int8", "int16", "int32", "int64", "uint8")
DTYPES = [np.dtype(name) for name in (*FLOATS, *INTEGERS, "bool")]  # the place of one is its code
CODES = {dtype: code for code, dtype in enumerate(DTYPES)}


def code_of(dtype: np.dtype, what: str) -> int:
    """The code of a dtype.

    Raises
    ------
    DtypeError
        If tensors of it can't take part in collectives.
    """
    code = CODES.get(dtype)
    if code is None:
        names = ", ".join(str(known) for known in DTYPES)
        raise DtypeError(
            f"{what} got an array of dtype {dtype}, which nbgrad's tensors do not have; convert it to one of {names}"
        )
    return code


known: dict[tuple[ReduceOp, np.dtype], tuple[int, int]] = {}  # what `reducer` has found


def reducer(op: ReduceOp, dtype: np.dtype, what: str) -> tuple[int, int]:
    """Addresses of the functions that combine and finish; compiled or loaded when they are first needed.

    Raises
    ------
    DtypeError
        If the operation has no meaning for the dtype.
    """
    found = known.get((op, dtype))
    if found is None:
        found = known[op, dtype] = loaded(op, dtype, what)
    return found


def loaded(op: ReduceOp, dtype: np.dtype, what: str) -> tuple[int, int]:
    """The same, looked up."""
    code_of(dtype, what)
    is_float = dtype.name in FLOATS
    if (op == ReduceOp.AVG and not is_float) or (op in BITS and is_float):
        wanted = "float32 or float64" if op == ReduceOp.AVG else "integers or booleans"
        raise DtypeError(
            f"{what}: ReduceOp.{op.name} is for {wanted}, and this is {dtype}; convert it, or use another operation"
        )
    finish = divide.address(dtype.name) if op == ReduceOp.AVG else 0
    name = dtype.name
    if name == "bool":
        op, name = ON_BOOL.get(op, op), "uint8"
    return ROUTINES[op].address(name), finish


@routine(arrays=3, numbers=1)
def add(out, a, b, mode):
    if mode == COMBINING:
        for i in range(out.size):
            out[i] = a[i] + b[i]
    else:
        for i in range(out.size):
            out[i] = out[i] + b[i]


@routine(arrays=3, numbers=1)
def multiply(out, a, b, mode):
    if mode == COMBINING:
        for i in range(out.size):
            out[i] = a[i] * b[i]
    else:
        for i in range(out.size):
            out[i] = out[i] * b[i]


@routine(arrays=3, numbers=1)
def least(out, a, b, mode):
    # `x != x`: a NaN of either side stays, as in numpy.minimum
    if mode == COMBINING:
        for i in range(out.size):
            x, y = a[i], b[i]
            out[i] = x if x < y or x != x else y
    else:
        for i in range(out.size):
            x, y = out[i], b[i]
            out[i] = x if x < y or x != x else y


@routine(arrays=3, numbers=1)
def greatest(out, a, b, mode):
    if mode == COMBINING:
        for i in range(out.size):
            x, y = a[i], b[i]
            out[i] = x if x > y or x != x else y
    else:
        for i in range(out.size):
            x, y = out[i], b[i]
            out[i] = x if x > y or x != x else y


@routine(arrays=3, numbers=1, common=("int64",))
def both(out, a, b, mode):
    if mode == COMBINING:
        for i in range(out.size):
            out[i] = a[i] & b[i]
    else:
        for i in range(out.size):
            out[i] = out[i] & b[i]


@routine(arrays=3, numbers=1, common=("int64",))
def either(out, a, b, mode):
    if mode == COMBINING:
        for i in range(out.size):
            out[i] = a[i] | b[i]
    else:
        for i in range(out.size):
            out[i] = out[i] | b[i]


@routine(arrays=3, numbers=1, common=("int64",))
def differing(out, a, b, mode):
    if mode == COMBINING:
        for i in range(out.size):
            out[i] = a[i] ^ b[i]
    else:
        for i in range(out.size):
            out[i] = out[i] ^ b[i]


@routine(arrays=1, numbers=1)
def divide(out, count):
    c = out.dtype.type(count)
    for i in range(out.size):
        out[i] = out[i] / c


@lines(arrays=3)
def add_pair(line):
    _, a, b = line.arrays
    return {0: a + b}


@lines(arrays=3, constants=1)
def mean_pair(line):
    _, a, b = line.arrays
    (count,) = line.constants
    return {0: (a + b) / count}


PAIRS = {ReduceOp.SUM: add_pair, ReduceOp.AVG: mean_pair}


ROUTINES = {
    ReduceOp.SUM: add,
    ReduceOp.AVG: add,
    ReduceOp.PRODUCT: multiply,
    ReduceOp.MIN: least,
    ReduceOp.MAX: greatest,
    ReduceOp.BAND: both,
    ReduceOp.BOR: either,
    ReduceOp.BXOR: differing,
}
