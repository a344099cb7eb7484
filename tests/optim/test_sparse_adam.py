import numpy as np
import pytest

import nbgrad as nb
from nbgrad import nn, optim
from nbgrad.autograd.sparse import SparseArray
from nbgrad.errors import DtypeError


def reference(p, steps, lr, beta1, beta2, eps):
    """PyTorch's loop, in NumPy: `steps` are (rows, values) pairs with each row once."""
    p, m, v = p.copy(), np.zeros_like(p), np.zeros_like(p)
    for t, (rows, values) in enumerate(steps, 1):
        m[rows] += (1 - beta1) * (values - m[rows])
        v[rows] += (1 - beta2) * (values**2 - v[rows])
        size = lr * np.sqrt(1 - beta2**t) / (1 - beta1**t)
        p[rows] -= size * m[rows] / (np.sqrt(v[rows]) + eps)
    return p


@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_as_the_formulas(dtype, rtol, maximize):
    rng = np.random.default_rng(0)
    start = rng.standard_normal((6, 3)).astype(dtype)
    steps = [(np.sort(rng.permutation(6)[:n]), rng.standard_normal((n, 3))) for n in (2, 4, 0, 3)]
    p = nn.Parameter(nb.tensor(start))
    optimizer = optim.SparseAdam([p], 0.05, (0.8, 0.9), 1e-6, maximize)
    for rows, values in steps:
        indices = np.concatenate([rows, rows[:1]]).reshape(1, -1)  # one row in two halves
        parts = np.concatenate([values, values[:1] / 2])
        parts[:1] /= 2
        optimizer.step_with([SparseArray(indices, parts.astype(dtype), (6, 3))])
    if maximize:
        steps = [(rows, -values) for rows, values in steps]
    expected = reference(start.astype(np.float64), steps, 0.05, 0.8, 0.9, 1e-6)
    np.testing.assert_allclose(p.array, expected, rtol=rtol, atol=rtol)


def test_mistakes():
    p = nn.Parameter(nb.ones(2))
    with pytest.raises(ValueError, match="epsilon"):
        optim.SparseAdam([p], eps=0.0)
    with pytest.raises(ValueError, match="beta"):
        optim.SparseAdam([p], betas=(1.0, 0.9))
    p.sum().backward()
    with pytest.raises(DtypeError, match="consider Adam"):
        optim.SparseAdam([p]).step()
