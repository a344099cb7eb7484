import numpy as np

import nbgrad as nb
from nbgrad.capture.trace import Op, Pull, Store, Sum, Value, Wrapped, replaced, used_by, values_in


def values(n):
    return [Value(k, np.ones(2, np.float32)) for k in range(n)]


def test_values_are_found_however_deep():
    a, b, c = values(3)
    template = (1, [a, {"x": slice(None, b, 2)}], Wrapped(c), "text")
    assert list(values_in(template)) == [a, b, c]


def test_arrays_and_tensors_are_replaced_however_deep():
    array = np.ones(1)
    found = replaced(
        (array, [nb.ones(1), {"x": slice(None, array)}], 3), lambda x: type(x).__name__
    )
    assert found == ("ndarray", ["Tensor", {"x": slice(None, "ndarray")}], 3)


def test_what_steps_use():
    a, b, c = values(3)
    op = Op(0, "f", None, (a, [b]), {"k": c}, a)
    assert list(used_by(op)) == [a, b, c]
    assert list(used_by(Pull(op, [None, b], [c], [True]))) == [b]
    assert list(used_by(Sum(a, b, c, False))) == [a, b]
    assert list(used_by(Store(None, b))) == [b]


def test_the_machine_takes_contiguous_floats_only():
    assert Value(0, np.ones((2, 3))).is_plain
    assert not Value(0, np.ones((2, 3)).T).is_plain
    assert not Value(0, np.ones(2, np.int64)).is_plain
