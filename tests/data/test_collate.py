from collections import namedtuple

import numpy as np
import pytest

import nbgrad as nb
from nbgrad.errors import DtypeError
from nbgrad.utils.data import default_collate

Point = namedtuple("Point", "x y")  # noqa: PYI024


def test_collate():
    assert default_collate([nb.ones(2), nb.zeros(2)]).tolist() == [[1, 1], [0, 0]]
    assert default_collate([np.ones(2), np.zeros(2)]).dtype == np.float64
    assert default_collate([1, 2]).dtype == np.int64
    assert default_collate([1.0, 2.0]).dtype == np.float32
    assert default_collate([np.float64(1), np.float64(2)]).dtype == np.float64
    assert default_collate([True, False]).tolist() == [True, False]
    assert default_collate(["a", "b"]) == ("a", "b")
    point = default_collate([Point(1, 2), Point(3, 4)])
    assert (type(point), point.x.tolist(), point.y.tolist()) == (Point, [1, 3], [2, 4])
    found = default_collate([{"k": (1, 2.0)}, {"k": (3, 4.0)}])
    assert [part.tolist() for part in found["k"]] == [[1, 3], [2, 4]]
    with pytest.raises(DtypeError, match="equal size"):
        default_collate([(1,), (1, 2)])
    with pytest.raises(DtypeError, match="found object"):
        default_collate([object()])
