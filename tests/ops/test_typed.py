import numpy as np
import pytest

import nbgrad as nb
from nbgrad.errors import DtypeError


@pytest.mark.parametrize(
    ("make", "dtype"),
    [
        (nb.FloatTensor, "float32"),
        (nb.DoubleTensor, "float64"),
        (nb.LongTensor, "int64"),
        (nb.IntTensor, "int32"),
        (nb.ShortTensor, "int16"),
        (nb.CharTensor, "int8"),
        (nb.ByteTensor, "uint8"),
        (nb.BoolTensor, "bool"),
    ],
)
def test_values_and_sizes(make, dtype):
    values = make([[1, 0], [0, 1]])
    assert values.dtype == np.dtype(dtype)
    assert values.tolist() == [[1, 0], [0, 1]]
    assert make(2, 3).shape == (2, 3)
    assert make(2, 3).dtype == np.dtype(dtype)
    assert make().shape == (0,)
    assert make(np.int64(4)).shape == (4,)


def test_values_are_copied():
    source = np.zeros(2, np.int64)
    x = nb.LongTensor(source)
    source[0] = 1
    assert x.tolist() == [0, 0]


def test_text_is_refused():
    with pytest.raises(DtypeError):
        nb.LongTensor(["a"])
