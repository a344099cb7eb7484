import warnings

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import nbgrad as nb
from nbgrad.autograd import check_vjp
from nbgrad.errors import DtypeError, ShapeError
from tests.arrays import arrays, shapes

DIMS = st.sampled_from([None, 0, -1, (0, 1), (1,)])


@pytest.mark.parametrize(("op", "reference"), [(nb.sum, np.sum), (nb.mean, np.mean)])
@given(x=arrays(shapes(min_dims=2)), dim=DIMS, keepdim=st.booleans())
def test_sum_and_mean(op, reference, x, dim, keepdim):
    y = op(nb.Tensor(x), dim, keepdim)
    np.testing.assert_allclose(y.array, reference(x, axis=dim, keepdims=keepdim), atol=1e-12)
    assert check_vjp(op, x, dim=dim, keepdim=keepdim)


def test_scalars_and_empty_tensors():
    x = nb.tensor(2.0, requires_grad=True)
    for y in (x.sum(), x.mean(), x.max(), x.sum(0), x.mean(-1), x.max(0).values):
        assert y.shape == ()
        x.grad = None
        y.backward()
        assert x.grad.item() == 1.0
    assert nb.zeros(0).sum().item() == 0.0
    assert nb.isnan(nb.zeros(0).mean())
    assert nb.zeros(0, 3).sum(0).tolist() == [0, 0, 0]
    assert check_vjp(nb.sum, np.zeros((0, 3)))
    with pytest.raises(ShapeError, match="non-zero size"):
        nb.zeros(0).max()
    with pytest.raises(ValueError, match="argmax"):
        nb.zeros(0, 2).argmax(0)


def test_integers():
    x = nb.tensor([[True, False], [True, True]])
    assert x.sum().item() == 3
    assert x.sum(0).dtype == np.int64
    assert nb.sum(nb.tensor([1, 2]), dtype=nb.float32).dtype == np.float32
    assert nb.any(x, 1).tolist() == [True, True]
    assert nb.all(x, 1, keepdim=True).tolist() == [[False], [True]]
    with pytest.raises(DtypeError, match="float"):
        nb.tensor([1]).mean()


def test_places():
    x = np.random.default_rng(0).standard_normal((3, 4))
    assert nb.Tensor(x).argmax().item() == x.argmax()
    np.testing.assert_array_equal(nb.Tensor(x).argmin(1, True).array, x.argmin(1, keepdims=True))
    with pytest.raises(IndexError, match="Dimension out of range"):
        nb.Tensor(x).sum(5)


@given(x=arrays(shapes(min_dims=2, min_side=2), gap=0.1))
def test_spread(x):
    np.testing.assert_allclose(nb.Tensor(x).var(0).array, x.var(0, ddof=1))
    np.testing.assert_allclose(nb.Tensor(x).std(unbiased=False).array, x.std())
    np.testing.assert_allclose(nb.Tensor(x).norm(dim=1).array, np.sqrt((x * x).sum(1)))
    np.testing.assert_allclose(nb.norm(nb.Tensor(x), float("inf")).array, abs(x).max())
    np.testing.assert_allclose(nb.norm(nb.Tensor(x), 1).array, abs(x).sum())
    assert check_vjp(nb.var, x, dim=-1)
    assert check_vjp(nb.norm, x)


def test_max_of_two_tensors_by_name():
    assert nb.isnan(nb.var(nb.ones(1)))


def test_sum_to_size():
    x = nb.Tensor(np.arange(24.0).reshape(2, 3, 4))
    np.testing.assert_array_equal(x.sum_to_size(3, 1).array, x.array.sum((0, 2))[:, None])
    assert x.sum_to_size(2, 3, 4) is x
    assert x.sum_to_size(()).item() == 276
    for wrong in ((2,), (1, 2, 3, 4)):
        with pytest.raises(ShapeError, match="not expandable"):
            x.sum_to_size(wrong)


@pytest.mark.parametrize("dim", [None, 0, (0, 1)])
def test_nan_is_left_out(dim):
    x = np.array([[1.0, np.nan, 3.0], [np.nan, np.nan, 5.0]], np.float32)
    found, wanted = nb.nansum(nb.Tensor(x), dim), np.nansum(x, dim)
    np.testing.assert_array_equal(found.array, wanted)
    with np.errstate(invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mean = np.nanmean(x, dim)
    found = nb.nanmean(nb.Tensor(x), dim)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.array, mean, rtol=1e-6)


def test_var_mean_is_both():
    x = nb.Tensor(np.random.default_rng(0).standard_normal((3, 4)))
    for both, one in ((nb.var_mean, nb.var), (nb.std_mean, nb.std)):
        spread, mean = both(x, 1, unbiased=False)
        np.testing.assert_array_equal(spread.array, one(x, 1, False).array)
        np.testing.assert_array_equal(mean.array, x.mean(1).array)
