import numpy as np
import pytest

import nbgrad as nb
from nbgrad import nn, optim

OPTIONS = [
    {},
    {"betas": (0.5, 0.9), "eps": 1e-3},
    {"weight_decay": 0.1},
    {"amsgrad": True},
    {"maximize": True, "amsgrad": True, "weight_decay": 0.1},
]


def reference(p, grads, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, amsgrad=False, maximize=False,
              decoupled=False):  # fmt: skip
    """PyTorch's loop, in NumPy."""
    p, m, v, top = p.copy(), 0.0, 0.0, 0.0
    for t, g in enumerate(grads, 1):
        d = -g if maximize else g
        if decoupled:
            p = p * (1 - lr * weight_decay)
        else:
            d = d + weight_decay * p
        m = betas[0] * m + (1 - betas[0]) * d
        v = betas[1] * v + (1 - betas[1]) * d * d
        top = np.maximum(top, v)
        denominator = np.sqrt(top if amsgrad else v) / np.sqrt(1 - betas[1] ** t) + eps
        p = p - lr / (1 - betas[0] ** t) * m / denominator
    return p


def compare(cls, options, dtype, rtol, decoupled):
    rng = np.random.default_rng(0)
    start, grads = rng.standard_normal((5, 3)), rng.standard_normal((4, 5, 3))
    p = nn.Parameter(nb.tensor(start.astype(dtype)))
    optimizer = cls([p], lr=0.05, **options)
    for g in grads:
        optimizer.step_with([g.astype(dtype)])
    expected = reference(start, grads, 0.05, decoupled=decoupled, **options)
    np.testing.assert_allclose(p.array, expected, rtol=rtol, atol=rtol)
    assert optimizer.state[p]["step"] == 4


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_as_the_formulas(options, dtype, rtol):
    compare(optim.Adam, options, dtype, rtol, decoupled=False)


def test_mistakes():
    p = nn.Parameter(nb.ones(1))
    with pytest.raises(ValueError, match="beta parameter at index 1"):
        optim.Adam([p], betas=(0.9, 1.0))
    with pytest.raises(ValueError, match="epsilon"):
        optim.Adam([p], eps=-1.0)
