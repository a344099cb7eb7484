import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nbgrad as nb
import nbgrad.nn.functional as F  # noqa: N812
from nbgrad.autograd import check_vjp
from nbgrad.errors import ShapeError

CASES = [
    ((4, 3), (3,)),
    ((2, 3, 4), (4,)),
    ((2, 3, 4), (3, 4)),
    ((5,), (5,)),
    ((2, 1), (1,)),
    ((0, 3), (3,)),
]


def draw(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def expected(x, axes, eps, centered=True):
    d = x - x.mean(axes, keepdims=True) if centered else x
    return d / np.sqrt((d * d).mean(axes, keepdims=True) + eps)


@pytest.mark.parametrize(("shape", "last"), CASES)
@given(seed=st.integers(0, 1000))
def test_layer_norm(shape, last, seed):
    x, w, b = draw(shape, seed), draw(last, 1), draw(last, 2)
    axes = tuple(range(len(shape) - len(last), len(shape)))
    y = F.layer_norm(nb.Tensor(x), last, nb.Tensor(w), nb.Tensor(b), 1e-3)
    np.testing.assert_allclose(y.array, expected(x, axes, 1e-3) * w + b, atol=1e-12)
    for parts in ((w, b), (w,), ()):
        assert check_vjp(lambda x, *p: F.layer_norm(x, last, *p, eps=1e-2), x, *parts)
    assert check_vjp(lambda x, b: F.layer_norm(x, last, None, b, eps=1e-2), x, b)


@pytest.mark.parametrize(("shape", "last"), CASES)
def test_rms_norm(shape, last):
    x, w = draw(shape), draw(last, 1)
    axes = tuple(range(len(shape) - len(last), len(shape)))
    y = F.rms_norm(nb.Tensor(x), last, nb.Tensor(w), 1e-3)
    np.testing.assert_allclose(y.array, expected(x, axes, 1e-3, centered=False) * w, atol=1e-12)
    assert check_vjp(lambda x, w: F.rms_norm(x, last, w, 1e-2), x, w)
    assert check_vjp(lambda x: F.rms_norm(x, last, eps=1e-2), x)


@pytest.mark.parametrize(
    ("shape", "groups"),
    [((3, 4), 2), ((2, 4, 3), 2), ((2, 6, 2, 2), 3), ((2, 3, 2), 1), ((2, 3, 1), 3)],
)
def test_group_norm(shape, groups):
    x, c = draw(shape), shape[1]
    w, b = draw(c, 1), draw(c, 2)
    rows = x.reshape(shape[0], groups, -1)
    form = (1, -1) + (1,) * (x.ndim - 2)
    y = F.group_norm(nb.Tensor(x), groups, nb.Tensor(w), nb.Tensor(b), 1e-3)
    reference = expected(rows, 2, 1e-3).reshape(shape) * w.reshape(form) + b.reshape(form)
    np.testing.assert_allclose(y.array, reference, atol=1e-12)
    for parts in ((w, b), (w,), ()):
        assert check_vjp(lambda x, *p: F.group_norm(x, groups, *p, eps=1e-2), x, *parts)


def test_non_contiguous_and_float32():
    x = draw((4, 6)).astype(np.float32)
    y = F.layer_norm(nb.Tensor(x.T), (4,), nb.ones(4), nb.zeros(4))
    assert y.dtype == np.float32
    np.testing.assert_allclose(y.array, expected(x.T, 1, 1e-5), atol=1e-5)


def test_mistakes():
    x = nb.ones(2, 4)
    with pytest.raises(
        ShapeError, match=r"Given normalized_shape=\[3\], expected input with shape \[\*, 3\]"
    ):
        F.layer_norm(x, 3)
    with pytest.raises(ShapeError, match="Expected weight to be of same shape as normalized_shape"):
        F.layer_norm(x, 4, nb.ones(3))
    with pytest.raises(ShapeError, match="divisible by num_groups"):
        F.group_norm(x, 3)
    with pytest.raises(ShapeError, match="Expected bias to be a vector"):
        F.group_norm(x, 2, None, nb.ones(3))
