import numpy as np
import pytest
from hypothesis import given

from nbgrad.errors import ShapeError
from nbgrad.ops.broadcast import (
    broadcast_shapes,
    contiguous,
    form_of,
    sum_leading,
    unbroadcast,
)
from tests.arrays import arrays, pairs


@given(operands=pairs())
def test_unbroadcast_is_the_transpose_of_broadcasting(operands):
    """<broadcast(x), g> = <x, unbroadcast(g)>."""
    x, y = operands
    wide = np.broadcast_to(x, np.broadcast_shapes(x.shape, y.shape))
    g = np.random.default_rng(0).standard_normal(wide.shape)
    x_bar = unbroadcast(g, form_of(x, True))
    assert x_bar.shape == x.shape
    np.testing.assert_allclose(np.vdot(wide, g), np.vdot(x, x_bar), atol=1e-9)


def test_dtype_comes_back():
    assert unbroadcast(np.ones((2, 3)), ((3,), np.dtype("f4"))).dtype == np.float32
    assert unbroadcast(np.ones(2), None) is None


@pytest.mark.parametrize("rows", [0, 1, 3, 4, 5, 8, 11])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sum_leading(rows, dtype):
    g = np.random.default_rng(0).standard_normal((rows, 2, 5)).astype(dtype)
    np.testing.assert_allclose(sum_leading(g, (2, 5)), g.sum(0), rtol=1e-6, atol=1e-6)
    assert sum_leading(g[..., :0], (2, 0)).shape == (2, 0)


@given(x=arrays())
def test_contiguous(x):
    y = contiguous(x)
    assert y.flags.c_contiguous
    assert y.shape == x.shape
    np.testing.assert_array_equal(x, y)
    assert (y is x) == x.flags.c_contiguous


def test_shapes_that_do_not_fit():
    with pytest.raises(ShapeError, match="some_op"):
        broadcast_shapes(np.ones(2), np.ones(3), "some_op")
    assert broadcast_shapes(np.ones((2, 1)), 3.0, "some_op") == (2, 1)


@pytest.mark.parametrize(
    ("a", "b", "sizes", "dim"),
    [((10,), (5,), (10, 5), 0), ((2, 3, 4), (5, 4), (3, 5), 1), ((2, 1), (3, 4, 7), (2, 4), 1)],
)
def test_what_does_not_fit_is_told_in_words_that_people_search_for(a, b, sizes, dim):
    text = rf"size of tensor a \({sizes[0]}\) must match the size of tensor b \({sizes[1]}\) at non-singleton dimension {dim}"
    with pytest.raises(RuntimeError, match=text):
        broadcast_shapes(np.ones(a), np.ones(b), "add")
