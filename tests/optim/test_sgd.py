import numpy as np
import pytest

import nbgrad as nb
from nbgrad import nn, optim
from nbgrad.autograd.sparse import SparseArray
from nbgrad.errors import DtypeError

OPTIONS = [
    {},
    {"momentum": 0.9},
    {"momentum": 0.9, "dampening": 0.3},
    {"momentum": 0.9, "nesterov": True},
    {"momentum": 0.9, "weight_decay": 0.1},
    {"weight_decay": 0.1, "maximize": True},
]


def reference(
    p, grads, lr, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False, maximize=False
):
    """PyTorch's loop, in NumPy."""
    p, buffer = p.copy(), None
    for g in grads:
        d = (-g if maximize else g) + weight_decay * p
        if momentum:
            buffer = d.copy() if buffer is None else momentum * buffer + (1 - dampening) * d
            d = d + momentum * buffer if nesterov else buffer
        p = p - lr * d
    return p


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-13), (np.float32, 1e-5)])
def test_as_the_formulas(options, dtype, rtol):
    rng = np.random.default_rng(0)
    start, grads = rng.standard_normal((5, 3)), rng.standard_normal((4, 5, 3))
    p = nn.Parameter(nb.tensor(start.astype(dtype)))
    optimizer = optim.SGD([p], lr=0.05, **options)
    for g in grads:
        optimizer.step_with([g.astype(dtype)])
    np.testing.assert_allclose(
        p.array, reference(start, grads, 0.05, **options), rtol=rtol, atol=rtol
    )


def test_a_changed_learning_rate_counts():
    p = nn.Parameter(nb.ones(1))
    optimizer = optim.SGD([p], lr=1.0)
    optimizer.param_groups[0]["lr"] = 0.5
    optimizer.step_with([np.ones(1, np.float32)])
    assert p.item() == 0.5


def test_mistakes():
    p = nn.Parameter(nb.ones(1))
    with pytest.raises(ValueError, match="momentum value"):
        optim.SGD([p], momentum=-1)
    with pytest.raises(ValueError, match="Nesterov"):
        optim.SGD([p], nesterov=True)


@pytest.mark.parametrize(
    "options", [{}, {"maximize": True}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sparse_gradients_step_as_dense_ones(dtype, options):
    rng = np.random.default_rng(0)
    start = rng.standard_normal((5, 3)).astype(dtype)
    p, q = nn.Parameter(nb.tensor(start)), nn.Parameter(nb.tensor(start))
    sparse, dense = optim.SGD([p], 0.1, **options), optim.SGD([q], 0.1, **options)
    for _ in range(3):
        values = rng.standard_normal((4, 3)).astype(dtype)
        g = SparseArray(rng.integers(0, 5, (1, 4)), values, (5, 3))
        sparse.step_with([g])
        dense.step_with([g.to_dense()])
    np.testing.assert_allclose(p.array, q.array, rtol=1e-5, atol=1e-6)


def test_sparse_gradients_and_weight_decay():
    p = nn.Parameter(nb.ones(5, 3))
    g = SparseArray(np.array([[1]]), np.ones((1, 3), np.float32), (5, 3))
    with pytest.raises(DtypeError, match="weight_decay"):
        optim.SGD([p], weight_decay=0.1).step_with([g])
    assert p.array.all()
