import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nbgrad as nb
import nbgrad.nn.functional as F  # noqa: N812
from nbgrad.errors import ShapeError
from tests.arrays import arrays


@given(x=arrays((2, 3, 5, 4)), stride=st.integers(1, 2), padding=st.integers(0, 1))
def test_unfold(x, stride, padding):
    wide = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    view = np.lib.stride_tricks.sliding_window_view(wide, (3, 2), (2, 3))[:, :, ::stride, ::stride]
    expected = view.transpose(0, 1, 4, 5, 2, 3).reshape(2, 3 * 6, -1)
    y = F.unfold(nb.Tensor(x), (3, 2), 1, padding, stride)
    np.testing.assert_array_equal(y.array, expected)
    # Folding counts how many windows an element is in.
    back = F.fold(y, (5, 4), (3, 2), 1, padding, stride)
    ones = F.unfold(nb.ones(2, 3, 5, 4, dtype=nb.float64), (3, 2), 1, padding, stride)
    counts = F.fold(ones, (5, 4), (3, 2), 1, padding, stride)
    np.testing.assert_allclose(back.array, x * counts.array)


def test_windows_of_one_element_are_a_copy():
    x = nb.arange(4.0).reshape(1, 1, 2, 2)
    y = F.unfold(x, 1)
    y += 1
    assert x.flatten().tolist() == [0, 1, 2, 3]
    assert F.unfold(x[0], 1).shape == (1, 4)
    assert F.fold(F.unfold(x[0], 1), 2, 1).shape == (1, 2, 2)


@given(x=arrays((5, 3)), size=st.integers(0, 5), step=st.integers(1, 3))
def test_of_a_dimension(x, size, step):
    y = nb.Tensor(x).unfold(0, size, step).array
    expected = np.stack([x[i : i + size].T for i in range(0, 5 - size + 1, step)])
    np.testing.assert_array_equal(y, expected)


def test_mistakes():
    with pytest.raises(ShapeError, match="divisible by the product"):
        F.fold(nb.ones(1, 3, 4), 3, 2)
    with pytest.raises(ShapeError, match="4 such windows"):
        F.fold(nb.ones(1, 4, 3), 3, 2)
    with pytest.raises(ShapeError, match="maximum size"):
        nb.ones(3).unfold(0, 4, 1)
