import numpy as np
import pytest

import nbgrad as nb
import nbgrad.nn.functional as F  # noqa: N812
from nbgrad.errors import ShapeError


def test_kept_elements_are_scaled_and_gradients_follow_the_mask():
    nb.manual_seed(0)
    x = nb.ones(1000, requires_grad=True)
    y = F.dropout(x, 0.25)
    kept = y.array != 0
    assert 700 < kept.sum() < 800
    np.testing.assert_allclose(y.array[kept], 1 / 0.75, rtol=1e-6)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.array, y.array)


def test_the_seed_decides_also_across_dtypes():
    x = np.random.default_rng(0).standard_normal((3, 4))
    masks = []
    for dtype in (np.float64, np.float64, np.float32):
        nb.manual_seed(3)
        masks.append(F.dropout(nb.Tensor(x.astype(dtype)), 0.5).array != 0)
    np.testing.assert_array_equal(masks[0], masks[1])
    np.testing.assert_array_equal(masks[0], masks[2])


def test_ends():
    x = nb.ones(3, requires_grad=True)
    assert F.dropout(x, 1.0).tolist() == [0, 0, 0]
    assert F.dropout(x, 0.0).tolist() == [1, 1, 1]
    y = F.dropout(x, 0.5, training=False)
    y.sum().backward()
    assert x.grad.tolist() == [1, 1, 1]
    with pytest.raises(ValueError, match="between 0 and 1"):
        F.dropout(x, 1.5)


def test_views():
    x = nb.ones(2, 3).T
    assert F.dropout(x, 0.5).shape == (3, 2)


def test_whole_channels():
    nb.manual_seed(0)
    x = nb.ones(50, 40, 2, 3, requires_grad=True)
    y = F.dropout2d(x, 0.25)
    per_channel = y.array.reshape(50, 40, 6)
    np.testing.assert_allclose(per_channel.min(-1), per_channel.max(-1))
    assert set(np.unique(per_channel.round(4))) == {0.0, np.float32(1.3333)}
    assert 0.7 < (per_channel[..., 0] > 0).mean() < 0.8
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.array, y.array)
    assert F.dropout2d(nb.ones(3, 2, 2), 1.0).tolist() == np.zeros((3, 2, 2)).tolist()
    z = nb.ones(1, 1, 2, 2)
    assert F.dropout2d(z, 0.5, training=False) is z
    with pytest.raises(ShapeError, match="3 or 4 dimensions"):
        F.dropout2d(nb.ones(2, 2))
    with pytest.raises(ValueError, match="between 0 and 1"):
        F.dropout2d(z, 1.5, training=False)
