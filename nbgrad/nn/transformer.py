"""Transformer layers: attention and a two-layer network, each with a residual connection and a layer norm."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from nbgrad.autograd import Tensor
from nbgrad.nn.attention import MultiheadAttention
from nbgrad.nn.containers import ModuleList
from nbgrad.nn.dropout import Dropout
from nbgrad.nn.layer_norm import LayerNorm
from nbgrad.nn.linear import Linear
from nbgrad.nn.module import Module
from nbgrad.ops.activation import gelu, relu

ACTIVATIONS: dict[str, Callable] = {"relu": relu, "gelu": gelu}


def generate_square_subsequent_mask(sz: int, device: Any = None, dtype: Any = None) -> Tensor:
    """The causal mask, to be added to scores: 0 up to the diagonal, minus infinity above.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.Transformer.generate_square_subsequent_mask(2)
    tensor([[0., -inf],
            [0., 0.]])
    """
    kind = np.dtype(np.float32) if dtype is None else np.dtype(dtype)
    return Tensor(np.triu(np.full((sz, sz), -np.inf, kind), 1))


class Layer(Module):
    """Base of encoder and decoder layers: their attentions, a two-layer network, a norm and a dropout for each of these.

    Parameters are those of `TransformerEncoderLayer`; a subclass names its attentions.
    """

    attentions: tuple[str, ...] = ()

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Any = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if isinstance(activation, str) and activation not in ACTIVATIONS:
            raise ValueError(f'activation should be "relu" or "gelu", not {activation!r}')
        kind = {"device": device, "dtype": dtype}
        self.linear1 = Linear(d_model, dim_feedforward, bias, **kind)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias, **kind)
        self.activation = ACTIVATIONS[activation] if isinstance(activation, str) else activation
        for name in self.attentions:
            attention = MultiheadAttention(
                d_model, nhead, dropout, bias, batch_first=batch_first, **kind
            )
            setattr(self, name, attention)
        numbers = range(1, len(self.attentions) + 2)
        for number in numbers:
            setattr(self, f"norm{number}", LayerNorm(d_model, layer_norm_eps, bias=bias, **kind))
        for number in numbers:
            setattr(self, f"dropout{number}", Dropout(dropout))
        self.norm_first = norm_first

    def feed(self, x: Tensor) -> Tensor:
        return self.linear2(self.dropout(self.activation(self.linear1(x))))


class TransformerEncoderLayer(Layer):
    """Self-attention, then a two-layer network.

    Parameters
    ----------
    d_model, nhead : int
        Length of inputs and results, and heads.
    dim_feedforward : int
        Width of the network.
    dropout : float
        In attention, in the network, and after each.
    activation : {"relu", "gelu"} or callable
        Of the network.
    layer_norm_eps : float
        Added to variances.
    batch_first : bool
        Whether inputs are (batch, positions, length) instead of (positions, batch, length).
    norm_first : bool
        Normalize before attention and network instead of after them.
    bias : bool
        Whether linear layers and norms have one.

    References
    ----------
    Vaswani et al. 2017, Attention is all you need.

    Examples
    --------
    >>> import nbgrad as nb
    >>> layer = nb.nn.TransformerEncoderLayer(d_model=4, nhead=2, dim_feedforward=8, batch_first=True)
    >>> layer(nb.zeros(1, 3, 4)).shape
    Size([1, 3, 4])
    """

    attentions = ("self_attn",)

    def forward(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Tensor:
        """Parameters as of `MultiheadAttention.forward`."""
        x = src
        if self.norm_first:
            x = x + self.attend(self.norm1(x), src_mask, src_key_padding_mask, is_causal)
            return x + self.dropout2(self.feed(self.norm2(x)))
        x = self.norm1(x + self.attend(x, src_mask, src_key_padding_mask, is_causal))
        return self.norm2(x + self.dropout2(self.feed(x)))

    def attend(self, x: Tensor, mask: Any, padding: Any, is_causal: bool) -> Tensor:
        y, _ = self.self_attn(x, x, x, padding, False, mask, is_causal=is_causal)
        return self.dropout1(y)


class TransformerDecoderLayer(Layer):
    """Self-attention, attention to a memory, then a two-layer network; parameters as of the encoder layer.

    Examples
    --------
    >>> import nbgrad as nb
    >>> layer = nb.nn.TransformerDecoderLayer(d_model=4, nhead=2, dim_feedforward=8, batch_first=True)
    >>> layer(nb.zeros(1, 3, 4), nb.zeros(1, 5, 4)).shape
    Size([1, 3, 4])
    """

    attentions = ("self_attn", "multihead_attn")

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """Masks as of `MultiheadAttention.forward`, for the targets and for the memory."""
        own = tgt_key_padding_mask, False, tgt_mask
        other = memory_key_padding_mask, False, memory_mask
        x = tgt
        if self.norm_first:
            y = self.norm1(x)
            x = x + self.dropout1(self.self_attn(y, y, y, *own)[0])
            y = self.norm2(x)
            x = x + self.dropout2(self.multihead_attn(y, memory, memory, *other)[0])
            return x + self.dropout3(self.feed(self.norm3(x)))
        x = self.norm1(x + self.dropout1(self.self_attn(x, x, x, *own)[0]))
        x = self.norm2(x + self.dropout2(self.multihead_attn(x, memory, memory, *other)[0]))
        return self.norm3(x + self.dropout3(self.feed(x)))


class Stack(Module):
    """Copies of one layer, one after the other."""

    def __init__(self, layer: Module, num_layers: int, norm: Module | None) -> None:
        super().__init__()
        self.layers = ModuleList([copy.deepcopy(layer) for _ in range(num_layers)])
        self.num_layers = num_layers
        self.norm = norm

    def run(self, x: Tensor, *args: Any) -> Tensor:
        for layer in self.layers:
            x = layer(x, *args)
        return x if self.norm is None else self.norm(x)


class TransformerEncoder(Stack):
    """`num_layers` copies of an encoder layer, and a norm after them if one is given.

    Examples
    --------
    >>> import nbgrad as nb
    >>> layer = nb.nn.TransformerEncoderLayer(d_model=4, nhead=2, dim_feedforward=8)
    >>> nb.nn.TransformerEncoder(layer, num_layers=2)(nb.zeros(3, 1, 4)).shape
    Size([3, 1, 4])
    """

    def __init__(
        self,
        encoder_layer: TransformerEncoderLayer,
        num_layers: int,
        norm: Module | None = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:
        super().__init__(encoder_layer, num_layers, norm)

    def forward(
        self,
        src: Tensor,
        mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool | None = None,
    ) -> Tensor:
        """Parameters as of the layer."""
        return self.run(src, mask, src_key_padding_mask, bool(is_causal))


class TransformerDecoder(Stack):
    """`num_layers` copies of a decoder layer, and a norm after them if one is given."""

    def __init__(
        self, decoder_layer: TransformerDecoderLayer, num_layers: int, norm: Module | None = None
    ) -> None:
        super().__init__(decoder_layer, num_layers, norm)

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
    ) -> Tensor:
        """Parameters as of the layer."""
        masks = tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask
        return self.run(tgt, memory, *masks)


class Transformer(Module):
    """An encoder, and a decoder that looks at what it gives.

    Examples
    --------
    >>> import nbgrad as nb
    >>> model = nb.nn.Transformer(d_model=4, nhead=2, num_encoder_layers=1, num_decoder_layers=1, dim_feedforward=8)
    >>> model(nb.zeros(5, 1, 4), nb.zeros(3, 1, 4)).shape
    Size([3, 1, 4])
    """

    generate_square_subsequent_mask = staticmethod(generate_square_subsequent_mask)

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Any = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        shared = d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps
        options = {"batch_first": batch_first, "norm_first": norm_first, "bias": bias}
        options |= {"device": device, "dtype": dtype}
        norms = [
            LayerNorm(d_model, layer_norm_eps, bias=bias, device=device, dtype=dtype)
            for _ in range(2)
        ]
        self.encoder = TransformerEncoder(
            TransformerEncoderLayer(*shared, **options), num_encoder_layers, norms[0]
        )
        self.decoder = TransformerDecoder(
            TransformerDecoderLayer(*shared, **options), num_decoder_layers, norms[1]
        )
        self.d_model, self.nhead, self.batch_first = d_model, nhead, batch_first

    def forward(
        self,
        src: Tensor,
        tgt: Tensor,
        src_mask: Tensor | None = None,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
    ) -> Tensor:
        """Masks as of the layers."""
        memory = self.encoder(src, src_mask, src_key_padding_mask)
        masks = tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask
        return self.decoder(tgt, memory, *masks)
