import numpy as np
import pytest

import nbgrad as nb
from nbgrad import nn

SMALL = {"d_model": 4, "nhead": 2, "dim_feedforward": 8, "dropout": 0.0, "dtype": nb.float64}


def close(a, b):
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), atol=1e-12)


@pytest.mark.parametrize("norm_first", [False, True])
def test_encoder_layer_by_hand(norm_first):
    layer = nn.TransformerEncoderLayer(
        **SMALL, activation="gelu", norm_first=norm_first, batch_first=True
    )
    x = nb.randn(2, 3, 4, dtype=nb.float64)

    def attend(x):
        return layer.self_attn(x, x, x)[0]

    def feed(x):
        return layer.linear2(nn.functional.gelu(layer.linear1(x)))

    if norm_first:
        y = x + attend(layer.norm1(x))
        y = y + feed(layer.norm2(y))
    else:
        y = layer.norm1(x + attend(x))
        y = layer.norm2(y + feed(y))
    close(layer(x), y)


@pytest.mark.parametrize("norm_first", [False, True])
def test_decoder_layer_by_hand(norm_first):
    layer = nn.TransformerDecoderLayer(**SMALL, norm_first=norm_first)
    x, memory = nb.randn(3, 2, 4, dtype=nb.float64), nb.randn(5, 2, 4, dtype=nb.float64)
    parts = [
        (layer.norm1, lambda x: layer.self_attn(x, x, x)[0]),
        (layer.norm2, lambda x: layer.multihead_attn(x, memory, memory)[0]),
        (layer.norm3, lambda x: layer.linear2(nn.functional.relu(layer.linear1(x)))),
    ]
    y = x
    for norm, part in parts:
        y = y + part(norm(y)) if norm_first else norm(y + part(y))
    close(layer(x, memory), y)


def test_a_causal_encoder_does_not_look_ahead():
    layer = nn.TransformerEncoderLayer(**SMALL, batch_first=True)
    encoder = nn.TransformerEncoder(layer, 2, nn.LayerNorm(4, dtype=nb.float64))
    mask = nn.Transformer.generate_square_subsequent_mask(3, dtype=nb.float64)
    x = nb.randn(1, 3, 4, dtype=nb.float64)
    other = x.clone()
    other[0, 2] = 5.0
    close(encoder(x, mask, is_causal=True)[:, :2], encoder(other, mask)[:, :2])
    assert not np.allclose(
        encoder(x)[:, :2].detach().numpy(), encoder(other)[:, :2].detach().numpy()
    )
    assert encoder.layers[0].linear1.weight is not encoder.layers[1].linear1.weight


def test_whole_model_learns():
    nb.manual_seed(0)
    options = SMALL | {"dtype": nb.float32}
    model = nn.Transformer(num_encoder_layers=1, num_decoder_layers=1, **options)
    head = nn.Linear(4, 3)
    optimizer = nb.optim.Adam([*model.parameters(), *head.parameters()], lr=0.02)
    src, tgt, labels = nb.randn(5, 4, 4), nb.randn(3, 4, 4), nb.randint(0, 3, (12,))
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        y = head(model(src, tgt, tgt_mask=nn.Transformer.generate_square_subsequent_mask(3)))
        loss = nn.functional.cross_entropy(y.reshape(12, 3), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 3
    assert all(p.grad is not None for p in model.parameters())


def test_mistakes():
    with pytest.raises(ValueError, match='"relu" or "gelu"'):
        nn.TransformerEncoderLayer(4, 2, activation="cos")
