import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import nbgrad as nb
from nbgrad.autograd import check_double, check_vjp
from nbgrad.ops.scan import recurrence
from tests.arrays import arrays, shapes

AXES = st.sampled_from([0, -1])


@pytest.mark.parametrize(("op", "reference"), [(nb.cumsum, np.cumsum), (nb.cumprod, np.cumprod)])
@given(x=arrays(shapes(min_side=0)), axis=AXES)
def test_running_sums_and_products(op, reference, x, axis):
    np.testing.assert_allclose(op(nb.Tensor(x), axis).array, reference(x, axis))


@given(x=arrays(shapes(min_side=0)), dim=st.sampled_from([None, 0, -1]), keepdim=st.booleans())
def test_prod(x, dim, keepdim):
    y = nb.prod(nb.Tensor(x), dim, keepdim)
    np.testing.assert_allclose(y.array, np.prod(x, dim, keepdims=keepdim))


@pytest.mark.parametrize(
    ("op", "ufunc"), [(nb.cummax, np.maximum), (nb.cummin, np.minimum)]
)  # fmt: skip
@given(x=arrays(shapes(min_side=0)), axis=AXES)
def test_extrema_so_far(op, ufunc, x, axis):
    x = np.round(x)
    values, places = op(nb.Tensor(x), axis)
    np.testing.assert_array_equal(values.array, ufunc.accumulate(x, axis))
    np.testing.assert_array_equal(values.array, np.take_along_axis(x, places.array, axis))


def test_the_last_of_equal_ones():
    assert nb.cummax(nb.tensor([1.0, 1.0, 0.0]), 0).indices.tolist() == [0, 1, 1]
    assert nb.cummax(nb.tensor(1.0), 0).indices.item() == 0


def test_integers_grow_and_dtypes_are_kept():
    x = nb.tensor([True, True])
    assert (nb.cumsum(x, 0).tolist(), nb.cumsum(x, 0).dtype) == ([1, 2], np.int64)
    assert nb.prod(nb.tensor([100, 100, 100], dtype=nb.int8)).item() == 1_000_000
    assert nb.prod(x, dtype=nb.float32).dtype == nb.cumprod(nb.ones(2), 0).dtype == np.float32
    assert nb.cumsum(nb.ones(2), 0, dtype=nb.float64).dtype == np.float64


def test_prod_of_numbers_and_of_nothing():
    assert nb.prod(nb.tensor(3.0)).item() == 3
    assert nb.prod(nb.zeros(0)).item() == 1
    assert nb.prod(nb.zeros(2, 0), 1).tolist() == [1, 1]


def test_gradients_with_zeros_are_exact():
    x = nb.tensor([0.0, 2.0, 3.0, 0.0], requires_grad=True)
    nb.prod(x).backward()
    assert x.grad.tolist() == [0, 0, 0, 0]
    one = nb.tensor([0.0, 2.0, 3.0], requires_grad=True)
    nb.cumprod(one, 0).sum().backward()
    assert one.grad.tolist() == [1 + 2 + 6, 0, 0]


@given(x=arrays((2, 4)), factors=arrays((2, 4)))
def test_recurrence(x, factors):
    y, last = np.empty_like(x), 0.0
    for i in range(4):
        y[:, i] = last = x[:, i] + factors[:, i] * last
    np.testing.assert_allclose(recurrence(nb.Tensor(x), nb.Tensor(factors)).array, y)
    assert check_vjp(recurrence, x, factors)
    assert check_double(recurrence, x, factors)


@given(x=arrays((3, 4)), n=st.integers(0, 3))
def test_diff(x, n):
    np.testing.assert_allclose(nb.diff(nb.Tensor(x), n).array, np.diff(x, n), atol=1e-14)


def test_logcumsumexp_of_far_apart_values():
    x = nb.tensor([-200.0, 0.0, 300.0, -500.0], requires_grad=True)
    y = nb.logcumsumexp(x, 0)
    np.testing.assert_array_equal(y.detach().array, np.logaddexp.accumulate(x.array))
    y.sum().backward()
    np.testing.assert_allclose(x.grad.array, [1, 1, 2, 0], atol=1e-6)
