import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import nbgrad as nb
from nbgrad.autograd import check_vjp
from nbgrad.errors import ShapeError
from tests.arrays import arrays, shapes

DIMS = st.sampled_from([None, 0, -1, (0, 1), (1,)])


@pytest.mark.parametrize(("op", "reference"), [(nb.amax, np.amax), (nb.amin, np.amin)])
@given(x=arrays(shapes(min_dims=2)), dim=DIMS, keepdim=st.booleans())
def test_extrema(op, reference, x, dim, keepdim):
    y = op(nb.Tensor(x), dim, keepdim)
    np.testing.assert_array_equal(y.array, reference(x, axis=dim, keepdims=keepdim))
    assert check_vjp(op, x, dim=dim, keepdim=keepdim)


@pytest.mark.parametrize("name", ["max", "min"])
@given(x=arrays(shapes(min_dims=1)), keepdim=st.booleans())
def test_max_and_min_along_a_dimension(name, x, keepdim):
    op = getattr(nb, name)
    values, indices = op(nb.Tensor(x), -1, keepdim)
    np.testing.assert_array_equal(values.array, getattr(np, name)(x, axis=-1, keepdims=keepdim))
    np.testing.assert_array_equal(indices.array, getattr(np, "arg" + name)(x, -1, keepdims=keepdim))
    assert check_vjp(lambda a: op(a, -1, keepdim).values, x)
    assert check_vjp(op, x)


def test_equal_extrema():
    x = nb.tensor([1.0, 3.0, 3.0], requires_grad=True)
    x.max().backward()
    assert x.grad.tolist() == [0, 0.5, 0.5]
    x.grad = None
    x.max(0).values.backward()
    assert x.grad.tolist() == [0, 1, 0]


def test_nothing_to_choose_from():
    with pytest.raises(ShapeError, match="non-zero size"):
        nb.zeros(0).max()
    with pytest.raises(ValueError, match="argmax"):
        nb.zeros(0, 2).argmax(0)
    assert nb.zeros(0, 2).amax(1).shape == (0,)
