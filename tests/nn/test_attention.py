import numpy as np
import pytest

import nbgrad as nb
import nbgrad.nn.functional as F  # noqa: N812
from nbgrad import nn
from nbgrad.errors import ShapeError


def by_hand(attention, q, k, v, mask=None):
    """One batch entry, head by head; weights averaged over heads."""
    d, total, told = attention.head_dim, [], []
    if attention.in_proj_weight is not None:
        weights = nb.chunk(attention.in_proj_weight, 3)
    else:
        weights = attention.q_proj_weight, attention.k_proj_weight, attention.v_proj_weight
    biases = nb.chunk(attention.in_proj_bias, 3)
    q, k, v = (F.linear(x, w, b) for x, w, b in zip((q, k, v), weights, biases))
    for h in range(attention.num_heads):
        part = slice(h * d, (h + 1) * d)
        scores = q[:, part] @ k[:, part].transpose(0, 1) / d**0.5
        p = F.softmax(scores if mask is None else scores + mask, -1)
        told.append(p)
        total.append(p @ v[:, part])
    return attention.out_proj(nb.cat(total, 1)), sum(told) / len(told)


def close(a, b):
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), atol=1e-12)


@pytest.mark.parametrize("options", [{}, {"kdim": 3, "vdim": 2}], ids=str)
def test_heads_one_by_one(options):
    attention = nn.MultiheadAttention(4, 2, batch_first=True, dtype=nb.float64, **options)
    nn.init.normal_(attention.in_proj_bias)
    q = nb.randn(2, 3, 4, dtype=nb.float64)
    k = nb.randn(2, 5, attention.kdim, dtype=nb.float64)
    v = nb.randn(2, 5, attention.vdim, dtype=nb.float64)
    y, weights = attention(q, k, v)
    for n in range(2):
        expected, p = by_hand(attention, q[n], k[n], v[n])
        close(y[n], expected)
        close(weights[n], p)
        single, single_weights = attention(q[n], k[n], v[n])
        close(single, expected)
        close(single_weights, p)
    second = nn.MultiheadAttention(4, 2, dtype=nb.float64, **options)
    second.load_state_dict(attention.state_dict())
    turned, _ = second(*(x.transpose(0, 1) for x in (q, k, v)), need_weights=False)
    close(turned.transpose(0, 1), y)


def test_masks():
    attention = nn.MultiheadAttention(4, 2, batch_first=True, dtype=nb.float64)
    x = nb.randn(2, 3, 4, dtype=nb.float64)
    hidden = nb.tensor([[False, True, True], [False, False, True], [False, False, False]])
    padding = nb.tensor([[False, False, False], [False, False, True]])
    y, weights = attention(x, x, x, padding, attn_mask=hidden, average_attn_weights=False)
    assert weights.shape == (2, 2, 3, 3)
    assert (weights[1, :, :, 2] == 0).all()
    assert (weights[:, :, 0, 1:] == 0).all()
    added = nb.tensor(np.where(hidden.numpy(), -np.inf, 0.0))
    close(attention(x, x, x, padding, attn_mask=added)[0], y)
    per_head = nb.stack([hidden] * 4)
    close(attention(x, x, x, padding, attn_mask=per_head)[0], y)
    close(y[0], by_hand(attention, x[0], x[0], x[0], added)[0])


def test_parameters_are_named_as_in_pytorch():
    assert list(nn.MultiheadAttention(4, 2).state_dict()) == [
        "in_proj_weight",
        "in_proj_bias",
        "out_proj.weight",
        "out_proj.bias",
    ]
    assert list(nn.MultiheadAttention(4, 2, bias=False, kdim=3).state_dict()) == [
        "q_proj_weight",
        "k_proj_weight",
        "v_proj_weight",
        "out_proj.weight",
    ]


def test_dropout_in_training_only():
    attention = nn.MultiheadAttention(4, 2, dropout=0.5)
    x = nb.randn(6, 1, 4)
    assert not (attention(x, x, x)[0] == attention(x, x, x)[0]).all()
    attention.eval()
    assert (attention(x, x, x)[0] == attention(x, x, x)[0]).all()


def test_mistakes():
    with pytest.raises(ValueError, match="divisible by num_heads"):
        nn.MultiheadAttention(4, 3)
    attention = nn.MultiheadAttention(4, 2)
    with pytest.raises(ShapeError, match="2 dimensions"):
        attention(nb.ones(4), nb.ones(4), nb.ones(4))
    with pytest.raises(ValueError, match="attn_mask must be given"):
        attention(nb.ones(2, 4), nb.ones(2, 4), nb.ones(2, 4), is_causal=True)
