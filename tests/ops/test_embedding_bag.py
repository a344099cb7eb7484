import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import nbgrad as nb
import nbgrad.nn.functional as F  # noqa: N812
from nbgrad.autograd import check_vjp
from nbgrad.errors import DtypeError, ShapeError
from tests.arrays import SEEDS, arrays

INDEX = [[1, 2, 1], [4, 0, 2]]
MODES = ["sum", "mean", "max"]


def matrix(requires_grad=False, rows=5, columns=3):
    values = np.random.default_rng(0).standard_normal((rows, columns))
    return nb.tensor(values, requires_grad=requires_grad)


# ---------------------------------------------------------------- bags


def reference(index, offsets, weight, mode, scale=None, padding=None):
    y = np.zeros((len(offsets), weight.shape[1]))
    for b, (start, end) in enumerate(zip(offsets, [*offsets[1:], len(index)])):
        chosen = [i for i in range(start, end) if index[i] != padding]
        rows = weight[index[chosen]] * (1 if scale is None else scale[chosen, None])
        if chosen:
            y[b] = {"sum": np.sum, "mean": np.mean, "max": np.max}[mode](rows, 0)
    return y


def bags(n, n_bags, seed):
    """Index, offsets: some bags are empty."""
    rng = np.random.default_rng(seed)
    offsets = np.sort(rng.integers(0, n + 1, n_bags))
    offsets[:1] = 0
    return rng.integers(0, 5, n), offsets


@given(weight=arrays((5, 3)), n=st.integers(0, 7), n_bags=st.integers(1, 4), seed=SEEDS)
@pytest.mark.parametrize("padding", [None, 1])
@pytest.mark.parametrize("mode", MODES)
def test_bags(mode, padding, weight, n, n_bags, seed):
    index, offsets = bags(n, n_bags, seed)

    def f(w, **options):
        i, o = nb.Tensor(index), nb.Tensor(offsets)
        return F.embedding_bag(i, w, o, mode=mode, padding_idx=padding, **options)

    y = f(nb.Tensor(weight))
    np.testing.assert_allclose(
        y.array, reference(index, offsets, weight, mode, padding=padding), atol=1e-12
    )
    assert check_vjp(f, weight)
    if mode != "max":
        w, s = nb.tensor(weight, requires_grad=True), nb.tensor(weight, requires_grad=True)
        g = nb.Tensor(np.random.default_rng(seed).standard_normal(y.shape))
        f(w).backward(g)
        f(s, sparse=True).backward(g)
        assert s.grad.is_sparse
        np.testing.assert_allclose(s.grad.array.to_dense(), w.grad.array, atol=1e-12)


@given(weight=arrays((5, 3)), scale=arrays((6,)), seed=SEEDS)
@pytest.mark.parametrize("padding", [None, 1])
def test_weights_per_sample(padding, weight, scale, seed):
    index, offsets = bags(6, 3, seed)

    def f(w, s):
        i, o = nb.Tensor(index), nb.Tensor(offsets)
        return F.embedding_bag(
            i, w, o, mode="sum", per_sample_weights=s, padding_idx=padding, sparse=False
        )

    expected = reference(index, offsets, weight, "sum", scale, padding)
    np.testing.assert_allclose(f(nb.Tensor(weight), nb.Tensor(scale)).array, expected, atol=1e-12)
    assert check_vjp(f, weight, scale)


@pytest.mark.parametrize("mode", MODES)
def test_bags_of_one_length(mode):
    w, index = matrix(), nb.tensor(INDEX)
    flat = F.embedding_bag(index.reshape(-1), w, nb.tensor([0, 3]), mode=mode)
    np.testing.assert_array_equal(F.embedding_bag(index, w, mode=mode).array, flat.array)
    with_last = F.embedding_bag(
        index.reshape(-1), w, nb.tensor([0, 3, 6]), mode=mode, include_last_offset=True
    )
    np.testing.assert_array_equal(with_last.array, flat.array)
    scale = nb.Tensor(np.ones((2, 3)))
    if mode == "sum":
        weighted = F.embedding_bag(index, w, mode=mode, per_sample_weights=scale)
        np.testing.assert_allclose(weighted.array, flat.array)


def test_float32():
    w = matrix().float()
    y = F.embedding_bag(nb.tensor(INDEX), w)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y.array, w.array[np.array(INDEX)].mean(1), rtol=1e-6)


def test_pytorchs_old_order_of_arguments():
    w, index = matrix(), nb.tensor(INDEX)
    with pytest.warns(UserWarning, match="Argument order"):
        y = F.embedding_bag(w, index)
    np.testing.assert_array_equal(y.array, F.embedding_bag(index, w).array)


@pytest.mark.parametrize(
    ("error", "match", "arguments", "options"),
    [
        (IndexError, "index out of range in self: element 1", ([0, 5], [0]), {}),
        (IndexError, "element 0 of input is -1", ([-1, 5], [0]), {}),
        (DtypeError, "Long, Int; but got float32", ([0.5], [0]), {}),
        (ShapeError, "1D Tensor but got None", ([1], None), {}),
        (ShapeError, "1D or 2D", (1, [0]), {}),
        (ShapeError, "has to be None", ([[1]], [0]), {}),
        (ShapeError, "has to be 0", ([1], [1]), {}),
        (ShapeError, "can not be greater", ([1], [0, 2]), {}),
        (ShapeError, "not decrease", ([1, 2], [0, 2, 1]), {}),
        (ShapeError, "at least 1", ([1], []), {"include_last_offset": True}),
        (DtypeError, "offsets must be integers", ([1], [0.0]), {}),
        (ValueError, "max mode does not support sparse", ([1], [0]), {"mode": "max", "sparse": True}),
        (ValueError, "mode has to be", ([1], [0]), {"mode": "median"}),
        (ValueError, "Padding_idx must be within", ([1], [0]), {"padding_idx": 5}),
        (NotImplementedError, "max_norm", ([1], [0]), {"max_norm": 1.0}),
    ],
)  # fmt: skip
def test_mistakes(error, match, arguments, options):
    index, offsets = [None if a is None else nb.tensor(a) for a in arguments]
    if offsets is not None and not offsets.numel():
        offsets = offsets.long()
    with pytest.raises(error, match=match):
        F.embedding_bag(index, matrix(), offsets, **options)


def test_mistakes_with_weights_per_sample():
    index, offsets, w = nb.tensor([1, 2]), nb.tensor([0]), matrix()
    with pytest.raises(NotImplementedError, match="mode='mean'"):
        F.embedding_bag(index, w, offsets, per_sample_weights=nb.ones(2))
    with pytest.raises(ShapeError, match="same shape as the input"):
        F.embedding_bag(index, w, offsets, mode="sum", per_sample_weights=nb.ones(3))
    with pytest.raises(DtypeError, match="must be equal"):
        F.embedding_bag(index, w, offsets, mode="sum", per_sample_weights=nb.ones(2))
    with pytest.raises(ShapeError, match="2-D"):
        F.embedding(index, nb.ones(3))
