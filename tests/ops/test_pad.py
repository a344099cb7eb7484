import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import nbgrad as nb
import nbgrad.nn.functional as F  # noqa: N812
from nbgrad.errors import ShapeError
from tests.arrays import arrays

MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


@pytest.mark.parametrize("mode", MODES)
@given(x=arrays((3, 4)), widths=st.lists(st.integers(0, 2), min_size=4, max_size=4))
def test_numpy_gives_the_same(mode, x, widths):
    y = F.pad(nb.Tensor(x), widths, mode)
    expected = np.pad(x, (tuple(widths[2:]), tuple(widths[:2])), mode=MODES[mode])
    np.testing.assert_array_equal(y.array, expected)


def test_values_and_cuts():
    x = nb.arange(6).reshape(2, 3)
    assert F.pad(x, (1, 0), value=7).tolist() == [[7, 0, 1, 2], [7, 3, 4, 5]]
    assert F.pad(x, (-1, -1)).tolist() == [[1], [4]]
    assert F.pad(x, (-1, 1)).tolist() == [[1, 2, 0], [4, 5, 0]]
    assert F.pad(x, (0, 0, -2, 0)).shape == (0, 3)
    y = F.pad(x, (0, 0))
    y += 1
    assert x.tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    ("widths", "mode", "words"),
    [
        ((1,), "constant", "divisible by 2"),
        ((1, 1, 1, 1, 1, 1), "constant", "divisible by 2"),
        ((3, 0), "reflect", "Padding size should be less"),
        ((4, 0), "circular", "Padding size should be less"),
        ((-2, -2), "constant", "fewer than none"),
    ],
)
def test_mistakes(widths, mode, words):
    with pytest.raises(ShapeError, match=words):
        F.pad(nb.ones(2, 3), widths, mode)
    with pytest.raises(ValueError, match="mode is one of"):
        F.pad(nb.ones(2), (1, 1), "mirror")
