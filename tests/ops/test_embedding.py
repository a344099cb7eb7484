import numpy as np
import pytest
from hypothesis import given

import nbgrad as nb
import nbgrad.nn.functional as F  # noqa: N812
from nbgrad.autograd import check_vjp
from tests.arrays import arrays

INDEX = [[1, 2, 1], [4, 0, 2]]
MODES = ["sum", "mean", "max"]


def matrix(requires_grad=False, rows=5, columns=3):
    values = np.random.default_rng(0).standard_normal((rows, columns))
    return nb.tensor(values, requires_grad=requires_grad)


@given(weight=arrays((5, 3)))
@pytest.mark.parametrize("index", [INDEX, [3], 2, np.zeros((2, 0), int)])
@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8])
def test_forward_and_vjp(index, dtype, weight):
    index = np.array(index, dtype)
    y = F.embedding(nb.Tensor(index), nb.Tensor(weight))
    np.testing.assert_array_equal(y.array, weight[index.astype(int)])
    assert check_vjp(lambda w: F.embedding(nb.Tensor(index), w), weight)


@pytest.mark.parametrize("padding", [None, 2, -3])
def test_sparse_gradient_of_the_same_value(padding):
    index = nb.tensor(INDEX)
    w, s = matrix(True), matrix(True)
    g = nb.Tensor(np.random.default_rng(1).standard_normal((2, 3, 3)))
    F.embedding(index, w, padding).backward(g)
    F.embedding(index, s, padding, sparse=True).backward(g)
    assert s.grad.is_sparse
    assert not w.grad.is_sparse
    np.testing.assert_allclose(s.grad.array.to_dense(), w.grad.array)
    if padding is not None:
        assert not w.grad.array[2].any()
        assert 2 not in s.grad.array.indices


def test_the_sparse_gradient_does_not_follow_its_index():
    index, w = nb.tensor([1, 2]), matrix(True)
    F.embedding(index, w, sparse=True).sum().backward()
    index.zero_()
    assert w.grad.array.indices.tolist() == [[1, 2]]
