import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import nbgrad as nb
from nbgrad.autograd import check_vjp
from tests.arrays import arrays, shapes


def reference(x, dim):
    e = np.exp(x - x.max(dim, keepdims=True))
    return e / e.sum(dim, keepdims=True)


@given(x=arrays(shapes(min_dims=1), low=-20, high=20), dim=st.sampled_from([0, -1]))
def test_forward_and_vjp(x, dim):
    np.testing.assert_allclose(nb.softmax(nb.Tensor(x), dim).array, reference(x, dim), rtol=1e-12)
    np.testing.assert_allclose(
        nb.log_softmax(nb.Tensor(x), dim).array, np.log(reference(x, dim)), rtol=1e-10, atol=1e-12
    )
    np.testing.assert_allclose(
        nb.logsumexp(nb.Tensor(x), dim, keepdim=True).array,
        np.log(np.exp(x).sum(dim, keepdims=True)),
        rtol=1e-10,
        atol=1e-10,
    )
    assert check_vjp(nb.softmax, x, dim=dim)
    assert check_vjp(nb.log_softmax, x, dim=dim)
    assert check_vjp(nb.logsumexp, x, dim=dim)


def test_large_scores_and_the_middle_dimension():
    x = nb.tensor([1e4, 0.0, -1e4])
    assert nb.softmax(x, 0).tolist() == [1, 0, 0]
    assert nb.log_softmax(x, 0).tolist() == [0, -1e4, -2e4]
    masked = nb.softmax(nb.tensor([0.0, -float("inf")]), 0)
    assert masked.tolist() == [1, 0]
    y = np.random.default_rng(0).standard_normal((2, 3, 4))
    np.testing.assert_allclose(nb.softmax(nb.Tensor(y), 1).array, reference(y, 1))
    assert check_vjp(nb.softmax, y, dim=1)


def test_scalars_and_empty():
    assert nb.softmax(nb.tensor(3.0), 0).item() == 1.0
    assert nb.log_softmax(nb.tensor(3.0), 0).item() == 0.0
    assert nb.softmax(nb.zeros(0, 3), 1).shape == (0, 3)
    assert nb.logsumexp(nb.tensor(3.0), 0).item() == 3.0


def test_dtypes():
    assert nb.softmax(nb.ones(2), 0, dtype=nb.float64).dtype == np.float64
    assert nb.softmax(nb.tensor([1, 2]), 0).dtype == np.float32
    with pytest.raises(TypeError, match="dim"):
        nb.softmax(nb.ones(2))


def test_logsumexp_of_infinities():
    inf, nan = np.inf, np.nan
    x = nb.tensor([[-inf, -inf], [inf, 1.0], [inf, nan], [nan, 1.0], [-inf, 1.0]])
    np.testing.assert_array_equal(nb.logsumexp(x, 1).array, [-inf, inf, nan, nan, 1.0])
