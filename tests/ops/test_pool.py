import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import nbgrad as nb
import nbgrad.nn.functional as F  # noqa: N812
from nbgrad.autograd import check_vjp
from nbgrad.errors import ShapeError
from tests.arrays import arrays

CASES = [
    {"kernel_size": 2},
    {"kernel_size": (3, 2), "stride": 1},
    {"kernel_size": 3, "stride": 2, "padding": 1},
    {"kernel_size": (5, 4)},
]


def reference(x, reduce, fill, kernel_size, stride=None, padding=0):
    kh, kw = kernel_size if isinstance(kernel_size, tuple) else (kernel_size, kernel_size)
    sh, sw = (kh, kw) if stride is None else (stride, stride)
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)), constant_values=fill)
    windows = np.lib.stride_tricks.sliding_window_view(x, (kh, kw), (2, 3))
    return reduce(windows[:, :, ::sh, ::sw], (4, 5))


@pytest.mark.parametrize("options", CASES, ids=str)
@given(x=arrays((2, 2, 5, 4)))
def test_forward_and_vjp(options, x):
    y = F.max_pool2d(nb.Tensor(x), **options)
    np.testing.assert_array_equal(y.array, reference(x, np.max, -np.inf, **options))
    assert check_vjp(F.max_pool2d, x, **options)
    y = F.avg_pool2d(nb.Tensor(x), **options)
    np.testing.assert_allclose(y.array, reference(x, np.mean, 0.0, **options), atol=1e-14)
    assert check_vjp(F.avg_pool2d, x, **options)
    assert check_vjp(F.avg_pool2d, x, count_include_pad=False, **options)


def test_padding_need_not_count():
    y = F.avg_pool2d(nb.ones(1, 1, 2, 2), 2, 2, 1, count_include_pad=False)
    assert y.flatten().tolist() == [1, 1, 1, 1]


def test_nan_wins_and_the_first_of_equal_ones():
    x = nb.tensor([[[[1.0, 1.0], [float("nan"), 0.0]]]])
    assert nb.isnan(F.max_pool2d(x, 2))
    y = nb.ones(1, 1, 2, 2, requires_grad=True)
    F.max_pool2d(y, 2).sum().backward()
    assert y.grad.flatten().tolist() == [1, 0, 0, 0]


@given(x=arrays((2, 3, 7)), k=st.integers(1, 3), s=st.integers(1, 3))
def test_one_dimension(x, k, s):
    windows = np.lib.stride_tricks.sliding_window_view(x, k, -1)[..., ::s, :]
    np.testing.assert_allclose(F.avg_pool1d(nb.Tensor(x), k, s).array, windows.mean(-1))
    np.testing.assert_allclose(F.max_pool1d(nb.Tensor(x), k, s).array, windows.max(-1))
    assert F.max_pool1d(nb.Tensor(x[0]), (k,), (s,)).shape == windows.shape[1:3]


def test_windows_that_stick_out():
    x = nb.arange(5.0).reshape(1, 1, 5)
    assert F.max_pool1d(x, 2, 2, 0, 1, True).flatten().tolist() == [1, 3, 4]
    assert F.avg_pool1d(x, 2, 2, 0, True).flatten().tolist() == [0.5, 2.5, 4]
    # With padding 1 the last window reaches from 3 to 5, the padded end: its zero counts or not.
    assert F.avg_pool1d(x, 3, 2, 1, True).flatten().tolist() == pytest.approx([1 / 3, 2, 7 / 3])
    assert F.avg_pool1d(x, 3, 2, 1, True, False).flatten().tolist() == [0.5, 2, 3.5]
    # A window that would start in the padding does not count.
    assert F.max_pool1d(x[..., :4], 2, 2, 1, 1, True).shape == (1, 1, 3)
    for refused in ({"dilation": 2}, {"return_indices": True}):
        with pytest.raises(NotImplementedError, match="dilation and return_indices"):
            F.max_pool1d(x, 2, **refused)


def test_what_does_not_fit():
    with pytest.raises(ShapeError, match="kernel size"):
        F.max_pool2d(nb.ones(1, 2, 2), 3)
    with pytest.raises(ShapeError, match="half of effective kernel size"):
        F.max_pool2d(nb.ones(1, 4, 4), 2, padding=2)
    with pytest.raises(ShapeError, match="3D"):
        F.avg_pool2d(nb.ones(4, 4), 2)


@pytest.mark.parametrize("shape", [(2, 3, 6, 8), (2, 3, 7, 9), (1, 1, 2, 3), (1, 2, 20, 70)])
def test_windows_of_four_beside_each_other_are_as_any_others(shape, monkeypatch):
    rng = np.random.default_rng(0)
    data = rng.integers(0, 3, shape).astype("float32")  # many equal ones
    data[rng.random(shape) < 0.1] = np.nan

    def both():
        x = nb.tensor(data, requires_grad=True)
        y = F.max_pool2d(x, 2)
        weights = np.arange(y.array.size, dtype="float32").reshape(y.shape)
        y.backward(nb.tensor(weights))
        return y.array, x.grad.array

    found = both()
    monkeypatch.setattr("nbgrad.ops.pool.is_quartered", lambda plan: False)
    for one, other in zip(found, both(), strict=True):
        np.testing.assert_array_equal(one, other)
