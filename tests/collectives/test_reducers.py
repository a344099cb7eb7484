"""Reducers alone: which operation has a meaning for which dtype, and that it is NumPy's."""

import ctypes

import numpy as np
import pytest

from nbgrad.collectives import rounds
from nbgrad.collectives.reducers import DTYPES, ReduceOp, code_of, reducer
from nbgrad.errors import DtypeError

NUMPY = {
    ReduceOp.SUM: np.add,
    ReduceOp.PRODUCT: np.multiply,
    ReduceOp.MIN: np.minimum,
    ReduceOp.MAX: np.maximum,
    ReduceOp.BAND: np.bitwise_and,
    ReduceOp.BOR: np.bitwise_or,
    ReduceOp.BXOR: np.bitwise_xor,
}
BOOLS = {ReduceOp.SUM: np.logical_or, ReduceOp.PRODUCT: np.logical_and}


def call(address, *args):
    native = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * 8)(address)
    return native(*args, *[0] * (8 - len(args)))


MEANT = [
    (op, dtype)
    for op in NUMPY
    for dtype in DTYPES
    if not (dtype.kind == "f" and op.name.startswith("B"))
]


@pytest.mark.parametrize(("op", "dtype"), MEANT, ids=str)
def test_both_forms_are_numpy_s(op, dtype):
    rng = np.random.default_rng(1)
    high = 2 if dtype.kind == "b" else 120
    a, b = (rng.integers(0, high, 203).astype(dtype) for _ in range(2))
    if dtype.kind == "f":
        a[:4], b[2:6] = np.nan, np.nan
    numpy = BOOLS.get(op, NUMPY[op]) if dtype.kind == "b" else NUMPY[op]
    wanted = numpy(a, b).astype(dtype)
    combine, finish = reducer(op, dtype, "a test")
    out = np.empty_like(a)
    places = [x.ctypes.data for x in (out, a, b)]
    call(combine, *places, 203, rounds.COMBINING)
    assert out.tobytes() == wanted.tobytes() or dtype.kind == "f"
    np.testing.assert_array_equal(out, wanted)
    call(combine, a.ctypes.data, a.ctypes.data, b.ctypes.data, 203, rounds.ADDING)
    np.testing.assert_array_equal(a, wanted)
    assert finish == 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_average_is_divided_exactly(dtype):
    x = np.random.default_rng(2).normal(size=100).astype(dtype)
    wanted = x / np.dtype(dtype).type(3)
    _, finish = reducer(ReduceOp.AVG, x.dtype, "a test")
    call(finish, x.ctypes.data, 100, 3)
    assert x.tobytes() == wanted.tobytes()


def test_what_has_no_meaning_is_refused():
    for op, dtype in ((ReduceOp.AVG, "int64"), (ReduceOp.AVG, "bool"), (ReduceOp.BXOR, "float32")):
        with pytest.raises(DtypeError, match=f"a test: ReduceOp.{op.name} is for"):
            reducer(op, np.dtype(dtype), "a test")
    with pytest.raises(DtypeError, match="dtype float16"):
        code_of(np.dtype("float16"), "a test")
