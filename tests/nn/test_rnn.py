"""Recurrent layers against their formulas, step by step, and their gradients against finite differences."""

import numpy as np
import pytest

import nbgrad as nb
from nbgrad import nn

CLASSES = [nn.RNN, nn.LSTM, nn.GRU]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def by_hand(layer, x):
    """Outputs of a one-layer recurrent network with NumPy."""
    w, u, b, d = (
        getattr(layer, name).detach().numpy()
        for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    )
    h = c = np.zeros((x.shape[1], layer.hidden_size))
    outputs = []
    for row in x:
        gx, gh = row @ w.T + b, h @ u.T + d
        if isinstance(layer, nn.LSTM):
            i, f, g, o = np.split(gx + gh, 4, 1)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        elif isinstance(layer, nn.GRU):
            (rx, zx, nx), (rh, zh, nh) = np.split(gx, 3, 1), np.split(gh, 3, 1)
            z = sigmoid(zx + zh)
            h = (1 - z) * np.tanh(nx + sigmoid(rx + rh) * nh) + z * h
        else:
            h = np.tanh(gx + gh)
        outputs.append(h)
    return np.stack(outputs)


@pytest.mark.parametrize("kind", CLASSES)
def test_outputs_follow_the_formula(kind):
    layer = kind(3, 4).double()
    x = np.random.default_rng(0).normal(size=(5, 2, 3))
    y, _ = layer(nb.tensor(x))
    np.testing.assert_allclose(y.detach().numpy(), by_hand(layer, x), rtol=1e-12)


@pytest.mark.parametrize("kind", CLASSES)
def test_gradient_of_a_weight_by_finite_differences(kind):
    layer = kind(2, 3, num_layers=2, bidirectional=True).double()
    x = nb.tensor(np.random.default_rng(1).normal(size=(3, 2, 2)))
    layer(x)[0].sum().backward()
    weight, step = layer.weight_hh_l0_reverse, 1e-6
    found = weight.grad[0, 1].item()
    values = []
    for sign in (1, -1):
        with nb.no_grad():
            weight.array[0, 1] += sign * step
            values.append(layer(x)[0].sum().item())
            weight.array[0, 1] -= sign * step
    assert found == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-5)


def test_batch_first_and_single_sequences_give_the_same_numbers():
    layer = nn.LSTM(3, 4, batch_first=True)
    x = nb.rand(2, 5, 3)
    y, (h, _) = layer(x)
    one, (h1, _) = layer(x[0])
    np.testing.assert_allclose(one.detach().numpy(), y[0].detach().numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(h1.detach().numpy(), h[:, 0].detach().numpy(), rtol=1e-5, atol=1e-6)


def test_wrong_number_of_features_is_named():
    with pytest.raises(nb.errors.ShapeError, match="3 features"):
        nn.GRU(3, 4)(nb.ones(5, 2, 7))
