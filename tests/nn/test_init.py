import math

import numpy as np
import pytest

import nbgrad as nb
from nbgrad.errors import ShapeError
from nbgrad.nn import init

SHAPE = (200, 50, 2, 2)  # fan in 200, fan out 800


@pytest.mark.parametrize(
    ("fill", "std"),
    [
        (lambda w: init.uniform_(w, -1, 1), 1 / math.sqrt(3)),
        (lambda w: init.normal_(w, 0.0, 0.5), 0.5),
        (lambda w: init.xavier_uniform_(w), math.sqrt(2 / 1000)),
        (lambda w: init.xavier_normal_(w, gain=2.0), 2 * math.sqrt(2 / 1000)),
        (lambda w: init.kaiming_uniform_(w, nonlinearity="relu"), math.sqrt(2 / 200)),
        (lambda w: init.kaiming_normal_(w, mode="fan_out", nonlinearity="relu"), math.sqrt(2 / 800)),
        (lambda w: init.kaiming_uniform_(w, a=math.sqrt(5)), math.sqrt(1 / 3 / 200)),
    ],
)  # fmt: skip
def test_standard_deviations(fill, std):
    nb.manual_seed(0)
    w = nb.empty(SHAPE)
    assert fill(w) is w
    assert w.array.std() == pytest.approx(std, rel=0.02)
    assert abs(w.array.mean()) < 0.02 * std


def test_bounds():
    w = init.kaiming_uniform_(nb.empty(100, 200), a=math.sqrt(5))
    assert np.abs(w.array).max() <= 1 / math.sqrt(200)
    w = init.trunc_normal_(nb.empty(1000), std=2.0, a=-1.0, b=1.0)
    assert np.abs(w.array).max() <= 1


def test_constants():
    assert init.zeros_(nb.empty(1)).item() == 0
    assert init.ones_(nb.empty(1)).item() == 1
    assert init.constant_(nb.empty(1), 7).item() == 7
    assert init.eye_(nb.empty(2, 2)).tolist() == [[1, 0], [0, 1]]


def test_orthogonal():
    w = init.orthogonal_(nb.empty(3, 2, 2, dtype=nb.float64), gain=2.0).array.reshape(3, 4)
    np.testing.assert_allclose(w @ w.T, 4 * np.eye(3), atol=1e-12)
    tall = init.orthogonal_(nb.empty(4, 3, dtype=nb.float64)).array
    np.testing.assert_allclose(tall.T @ tall, np.eye(3), atol=1e-12)


def test_parameters_are_filled_in_place_and_generators_serve():
    p = nb.nn.Parameter(nb.zeros(3))
    init.uniform_(p, 1.0, 2.0)
    assert p.is_leaf
    assert (p >= 1).all()
    a = init.normal_(nb.empty(3), generator=nb.Generator().manual_seed(1))
    b = init.normal_(nb.empty(3), generator=nb.Generator().manual_seed(1))
    assert a.tolist() == b.tolist()


def test_gains_and_mistakes():
    assert init.calculate_gain("relu") == math.sqrt(2)
    assert init.calculate_gain("leaky_relu", 0.5) == math.sqrt(2 / 1.25)
    with pytest.raises(ValueError, match="Unsupported nonlinearity"):
        init.calculate_gain("none such")
    with pytest.raises(ValueError, match="fan_in"):
        init.kaiming_uniform_(nb.empty(2, 2), mode="both")
    with pytest.raises(ShapeError, match="fewer than 2 dimensions"):
        init.xavier_uniform_(nb.empty(2))
    with pytest.raises(ShapeError, match="2 or more"):
        init.orthogonal_(nb.empty(2))
