import numpy as np
import pytest

import nbgrad as nb
import nbgrad.nn.functional as F  # noqa: N812
from nbgrad.autograd import check_vjp
from nbgrad.errors import ShapeError

PLAIN = {"relu": F.relu, "gelu": F.gelu}


@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("shape", [(3,), (4, 3), (2, 3, 5), (0, 3), (2, 0)])
def test_as_two_operations(activation, shape):
    rng = np.random.default_rng(0)
    for dtype, tolerance in ((np.float32, 1e-5), (np.float64, 1e-12)):
        found = []
        x, b = (
            rng.standard_normal(shape).astype(dtype),
            rng.standard_normal(shape[-1]).astype(dtype),
        )
        for function in (
            lambda x, b: F.bias_activation(x, b, activation),
            lambda x, b: PLAIN[activation](x + b),
        ):
            leaves = nb.tensor(x, requires_grad=True), nb.tensor(b, requires_grad=True)
            y = function(*leaves)
            (y * y).sum().backward()
            assert y.dtype == leaves[0].grad.dtype == leaves[1].grad.dtype == dtype
            found.append([y.detach().numpy(), *(leaf.grad.numpy() for leaf in leaves)])
        for ours, expected in zip(*found):
            np.testing.assert_allclose(ours, expected, rtol=tolerance, atol=tolerance)


def test_vjp():
    x, b = np.random.default_rng(1).standard_normal((4, 3)), np.arange(3.0)
    for activation in PLAIN:
        assert check_vjp(lambda x, b, a=activation: F.bias_activation(x, b, a), x.T.copy().T, b)


def test_nan_stays():
    assert np.isnan(F.bias_activation(nb.tensor([[np.nan]]), nb.zeros(1)).item())


def test_mistakes():
    with pytest.raises(ShapeError, match=r"needs a bias of shape \(3,\)"):
        F.bias_activation(nb.ones(2, 3), nb.ones(2))
    with pytest.raises(ValueError, match='"relu" or "gelu"'):
        F.bias_activation(nb.ones(2, 3), nb.ones(3), "cos")
