import numpy as np
import pytest

import nbgrad as nb
from nbgrad import nn
from nbgrad.errors import ShapeError


def test_statistics_are_kept_for_evaluation():
    layer = nn.BatchNorm1d(2, momentum=0.5)
    x = nb.tensor([[1.0, 10.0], [3.0, 30.0]])
    y = layer(x)
    np.testing.assert_allclose(y.array, [[-1, -1], [1, 1]], atol=1e-4)
    assert layer.running_mean.tolist() == [1, 10]
    assert layer.running_var.tolist() == [1.5, 100.5]
    assert layer.num_batches_tracked.item() == 1
    layer.eval()
    np.testing.assert_allclose(
        layer(x).array, (x.array - [1, 10]) / np.sqrt([1.5, 100.5]), rtol=1e-4
    )
    assert layer.num_batches_tracked.item() == 1
    layer.reset_parameters()
    assert layer.running_mean.tolist() == [0, 0]
    assert layer.running_var.tolist() == [1, 1]


def test_names_and_options():
    layer = nn.BatchNorm2d(3)
    assert list(layer.state_dict()) == [
        "weight", "bias", "running_mean", "running_var", "num_batches_tracked",
    ]  # fmt: skip
    assert repr(layer) == (
        "BatchNorm2d(3, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)"
    )
    plain = nn.BatchNorm2d(3, affine=False, track_running_stats=False).eval()
    assert not list(plain.state_dict())
    x = nb.randn(4, 3, 5, 5)
    np.testing.assert_allclose(plain(x).array.mean((0, 2, 3)), 0, atol=1e-6)
    plain.reset_parameters()
    average = nn.BatchNorm1d(1, momentum=None)
    for value in (1.0, 2.0, 6.0):
        average(nb.tensor([[value - 1], [value + 1]]))
    assert average.running_mean.item() == pytest.approx(3.0)


def test_what_does_not_fit():
    with pytest.raises(ShapeError, match="expected 4D input with 3 channels"):
        nn.BatchNorm2d(3)(nb.ones(2, 3))
    with pytest.raises(ShapeError, match="expected 2D or 3D input with 3 channels"):
        nn.BatchNorm1d(3)(nb.ones(2, 4))
