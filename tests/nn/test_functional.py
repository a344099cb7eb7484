import numpy as np
import pytest

import nbgrad as nb
import nbgrad.nn.functional as F  # noqa: N812
from nbgrad.autograd import check_vjp
from nbgrad.errors import DtypeError


def test_all_names_exist():
    for name in F.__all__:
        assert callable(getattr(F, name))


def test_keywords_are_pytorchs():
    x, t = nb.ones(2, 3), nb.tensor([0, 1])
    F.cross_entropy(input=x, target=t)
    F.softmax(input=x, dim=1)
    F.linear(input=x, weight=nb.ones(2, 3), bias=nb.ones(2))
    F.mse_loss(input=x, target=x, reduction="sum")
    F.dropout(input=x, p=0.5, training=True)
    F.max_pool2d(input=nb.ones(1, 2, 2), kernel_size=2)


def test_embedding():
    w, i = np.random.default_rng(0).standard_normal((4, 3)), nb.tensor([[1, 1], [0, 3]])
    assert F.embedding(i, nb.Tensor(w)).shape == (2, 2, 3)
    assert check_vjp(lambda a: F.embedding(i, a), w)


def test_one_hot():
    assert F.one_hot(nb.tensor([2, 0])).tolist() == [[0, 0, 1], [1, 0, 0]]
    with pytest.raises(DtypeError, match="index tensors"):
        F.one_hot(nb.tensor([0.5]))
    with pytest.raises(IndexError, match="between 0 and 1"):
        F.one_hot(nb.tensor([2]), 2)


def test_normalize():
    x = np.random.default_rng(0).standard_normal((2, 3))
    y = F.normalize(nb.Tensor(x))
    np.testing.assert_allclose(np.linalg.norm(y.array, axis=1), 1)
    assert check_vjp(F.normalize, x)
