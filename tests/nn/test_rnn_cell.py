import numpy as np
import pytest

import nbgrad as nb
from nbgrad import nn
from nbgrad.autograd import check_double, check_vjp
from nbgrad.errors import ShapeError

PAIRS = [(nn.RNNCell, nn.RNN), (nn.LSTMCell, nn.LSTM), (nn.GRUCell, nn.GRU)]


@pytest.mark.parametrize(("cell", "layer"), PAIRS)
@pytest.mark.parametrize("bias", [True, False])
def test_a_loop_of_steps_is_the_layer(cell, layer, bias):
    one, whole = cell(3, 4, bias), layer(3, 4, bias=bias)
    whole.load_state_dict({f"{name}_l0": x for name, x in one.state_dict().items()})
    x = nb.randn(5, 2, 3)
    y, _ = whole(x)
    state = None
    for step, expected in zip(x, y):
        state = one(step, state)
        h = state[0] if isinstance(state, tuple) else state
        np.testing.assert_allclose(h.array, expected.array, atol=1e-6)


@pytest.mark.parametrize("cell", [cell for cell, _ in PAIRS])
def test_gradients(cell):
    one = cell(2, 3, dtype=nb.float64)
    rng = np.random.default_rng(0)
    x, h, c = rng.standard_normal((2, 2)), rng.standard_normal((2, 3)), rng.standard_normal((2, 3))
    if cell is nn.LSTMCell:
        call, arrays = (lambda x, h, c: one(x, (h, c))), (x, h, c)
    else:
        call, arrays = one, (x, h)
    assert check_vjp(call, *arrays)
    assert check_double(call, *arrays)


def test_forms():
    assert nn.RNNCell(2, 3)(nb.ones(2), nb.ones(3)).shape == (3,)
    h, c = nn.LSTMCell(2, 3)(nb.ones(2))
    assert h.shape == c.shape == (3,)
    relu = nn.RNNCell(2, 3, nonlinearity="relu")
    assert (relu(nb.randn(4, 2)).array >= 0).all()
    assert repr(nn.GRUCell(2, 3, bias=False)) == "GRUCell(2, 3, bias=False)"


def test_mistakes():
    with pytest.raises(ValueError, match="nonlinearity"):
        nn.RNNCell(2, 3, nonlinearity="sin")
    with pytest.raises(ShapeError, match="2 features"):
        nn.GRUCell(2, 3)(nb.ones(1, 3))
    with pytest.raises(ShapeError, match="hidden state of shape"):
        nn.GRUCell(2, 3)(nb.ones(1, 2), nb.ones(2, 3))
