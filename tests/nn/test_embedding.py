import numpy as np
import pytest

import nbgrad as nb
from nbgrad import nn, optim
from nbgrad.errors import ShapeError


def test_initial_values_are_normal_and_the_padding_is_zero():
    nb.manual_seed(0)
    weight = nn.Embedding(200, 50, padding_idx=-1).weight.array
    assert abs(weight.mean()) < 0.05
    assert abs(weight.std() - 1) < 0.05
    assert not weight[199].any()
    assert not nn.EmbeddingBag(5, 2, padding_idx=1).weight.array[1].any()
    assert nn.Embedding(3, 2, dtype=nb.float64).weight.dtype == np.float64


@pytest.mark.parametrize("sparse", [False, True])
def test_the_padding_is_never_trained(sparse):
    layer = nn.Embedding(5, 2, padding_idx=1, sparse=sparse)
    before = layer.weight.array.copy()
    optimizer = optim.SGD(layer.parameters(), lr=1.0)
    layer(nb.tensor([[1, 2], [2, 4]])).sum().backward()
    assert layer.weight.grad.is_sparse is sparse
    optimizer.step()
    np.testing.assert_allclose(
        before - layer.weight.array, [[0, 0], [0, 0], [2, 2], [0, 0], [1, 1]], atol=1e-6
    )


def test_bags():
    layer = nn.EmbeddingBag(16, 4, mode="sum", sparse=True)
    index = nb.tensor([1, 2, 4, 5, 4, 3, 2, 9])
    scale = nb.rand(8).requires_grad_()
    layer(index, nb.tensor([0, 4]), scale).sum().backward()
    assert layer.weight.grad.is_sparse
    np.testing.assert_allclose(scale.grad.array, layer.weight.array[index.array].sum(1), rtol=1e-5)


def test_pretrained():
    w = nb.randn(4, 3)
    layer = nn.Embedding.from_pretrained(w)
    assert not layer.weight.requires_grad
    assert layer.weight.array is w.array
    assert nn.Embedding.from_pretrained(w, freeze=False, padding_idx=-1).padding_idx == 3
    bag = nn.EmbeddingBag.from_pretrained(w, False, mode="max")
    assert bag.weight.requires_grad
    assert bag.mode == "max"
    with pytest.raises(ShapeError, match="2-dimensional"):
        nn.Embedding.from_pretrained(nb.ones(3))
    with pytest.raises(ShapeError, match="does not match"):
        nn.Embedding(3, 2, _weight=w)


def test_text():
    assert repr(nn.Embedding(5, 2, padding_idx=-1, sparse=True)) == (
        "Embedding(5, 2, padding_idx=4, sparse=True)"
    )
    assert repr(nn.EmbeddingBag(5, 2)) == "EmbeddingBag(5, 2, mode='mean')"


def test_what_is_refused():
    with pytest.raises(NotImplementedError, match="max_norm"):
        nn.Embedding(5, 2, max_norm=1.0)
    with pytest.raises(NotImplementedError, match="scale_grad_by_freq"):
        nn.EmbeddingBag(5, 2, scale_grad_by_freq=True)
    with pytest.raises(ValueError, match="Padding_idx"):
        nn.Embedding(5, 2, padding_idx=5)
