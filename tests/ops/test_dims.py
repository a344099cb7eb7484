import pytest

from nbgrad.ops.dims import axes_of, dim_of, ints_of, reduced_shape


def test_dimensions_count_from_either_end():
    assert dim_of(-1, 3) == 2
    assert dim_of(0, 0) == dim_of(-1, 0) == 0
    with pytest.raises(IndexError, match=r"expected to be in range of \[-2, 1\], but got 2"):
        dim_of(2, 2)


def test_axes():
    assert axes_of(None, 2) == (0, 1)
    assert axes_of((0, -1), 3) == (0, 2)
    assert axes_of((), 2) == (0, 1)
    assert axes_of(0, 0) == ()
    with pytest.raises(ValueError, match="multiple times"):
        axes_of((0, -2), 2)


def test_shapes():
    assert reduced_shape((2, 3, 4), (1,), False) == (2, 4)
    assert reduced_shape((2, 3, 4), (1,), True) == (2, 1, 4)
    assert ints_of((2, 3)) == ints_of(((2, 3),)) == (2, 3)
    assert ints_of(((),)) == ()
