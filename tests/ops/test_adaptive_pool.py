import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import nbgrad as nb
import nbgrad.nn.functional as F  # noqa: N812
from nbgrad.errors import ShapeError
from tests.arrays import arrays


def reference(x, size, reduce):
    """Windows cut out one by one."""
    h, w = x.shape[-2:]
    y = np.empty((*x.shape[:-2], *size))
    for i in range(size[0]):
        rows = slice(int(np.floor(i * h / size[0])), int(np.ceil((i + 1) * h / size[0])))
        for j in range(size[1]):
            columns = slice(int(np.floor(j * w / size[1])), int(np.ceil((j + 1) * w / size[1])))
            y[..., i, j] = reduce(x[..., rows, columns], (-2, -1))
    return y


@given(x=arrays((2, 5, 4)), oh=st.integers(1, 7), ow=st.integers(1, 6))
def test_windows_of_all_sizes(x, oh, ow):
    mean, top = (
        f(nb.Tensor(x), (oh, ow)).array for f in (F.adaptive_avg_pool2d, F.adaptive_max_pool2d)
    )
    np.testing.assert_allclose(mean, reference(x, (oh, ow), np.mean), atol=1e-12)
    np.testing.assert_array_equal(top, reference(x, (oh, ow), np.max))


def test_forms():
    x = nb.arange(16.0).reshape(1, 4, 4)
    assert F.adaptive_avg_pool2d(x, 1).item() == 7.5
    assert F.adaptive_max_pool2d(x, (2, None)).shape == (1, 2, 4)
    assert F.adaptive_avg_pool1d(x, 3).shape == F.adaptive_max_pool1d(x, (3,)).shape == (1, 4, 3)
    assert F.adaptive_avg_pool2d(x, 3).dtype == np.float32


def test_equal_maxima_at_the_end_of_a_window_share_no_gradient_twice():
    x = nb.tensor(np.arange(3.0).reshape(1, 1, 3), requires_grad=True)
    F.adaptive_max_pool2d(x, (1, 2)).sum().backward()
    assert x.grad.tolist() == [[[0.0, 1.0, 1.0]]]


def test_mistakes():
    for size in (0, (2, 0)):
        with pytest.raises(ShapeError, match="windows need elements"):
            F.adaptive_avg_pool2d(nb.ones(1, 4, 4), size)
    with pytest.raises(ShapeError, match="3D"):
        F.adaptive_max_pool2d(nb.ones(4, 4), 2)
