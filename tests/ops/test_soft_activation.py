import numpy as np
import pytest

import nbgrad as nb
import nbgrad.nn.functional as F  # noqa: N812
from nbgrad.errors import ShapeError

X = np.array([[-3.0, -0.5], [0.5, 3.0]])
E = np.exp(X)
CASES = [
    ("selu", 1.0507009873554805 * np.where(X > 0, X, 1.6732632423543772 * (E - 1))),
    ("celu", np.where(X > 0, X, E - 1)),
    ("logsigmoid", -np.log1p(1 / E)),
    ("softsign", X / (1 + abs(X))),
    ("tanhshrink", X - np.tanh(X)),
    ("mish", X * np.tanh(np.log1p(E))),
]


@pytest.mark.parametrize(("name", "expected"), CASES)
def test_forward(name, expected):
    np.testing.assert_allclose(getattr(F, name)(nb.Tensor(X)).array, expected, rtol=1e-13)
    assert getattr(F, name)(nb.Tensor(X.astype(np.float32))).dtype == np.float32


def test_glu():
    x = np.arange(8.0).reshape(2, 4)
    np.testing.assert_allclose(F.glu(nb.Tensor(x)).array, x[:, :2] / (1 + np.exp(-x[:, 2:])))
    with pytest.raises(ShapeError, match="must be even, but dimension 0 is size 3"):
        F.glu(nb.zeros(3, 2), 0)


def test_prelu():
    w = nb.tensor([0.5, 0.25])
    assert F.prelu(-nb.ones(1, 2, 1), w).flatten().tolist() == [-0.5, -0.25]
    assert F.prelu(-nb.ones(2), w).tolist() == [-0.5, -0.25]
    with pytest.raises(ShapeError, match="2 weights and 3 channels"):
        F.prelu(nb.zeros(1, 3), w)


def test_rrelu_draws_slopes_in_training_only():
    x = -nb.ones(100)
    assert set(F.rrelu(x).tolist()) == {-np.float32((1 / 8 + 1 / 3) / 2)}
    drawn = F.rrelu(x, training=True).array
    assert len(np.unique(drawn)) > 50
    assert ((drawn >= np.float32(-1 / 3)) & (drawn <= -1 / 8)).all()


def test_gumbel_softmax():
    nb.manual_seed(0)
    logits = nb.tensor(np.log([[0.2, 0.8]] * 2000), requires_grad=True)
    hard = F.gumbel_softmax(logits, hard=True)
    assert set(np.unique(hard.array)) == {0.0, 1.0}
    assert hard.array.mean(0)[1] == pytest.approx(0.8, abs=0.05)
    soft = F.gumbel_softmax(logits, tau=0.5)
    np.testing.assert_allclose(soft.array.sum(1), 1)
    (hard * nb.tensor([1.0, 2.0])).sum().backward()
    assert logits.grad.array.any()
