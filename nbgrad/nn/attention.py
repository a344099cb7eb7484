"""MultiheadAttention: attention in several subspaces at once."""

from typing import Any

import numpy as np

from nbgrad.autograd import Parameter, Tensor
from nbgrad.errors import ShapeError
from nbgrad.nn import init
from nbgrad.nn.linear import Linear
from nbgrad.nn.module import Module, check_positive
from nbgrad.ops import empty, zeros
from nbgrad.ops.attention import additive_mask, attention_weights
from nbgrad.ops.dropout import dropout
from nbgrad.ops.linear import linear
from nbgrad.ops.matmul import matmul


class MultiheadAttention(Module):
    """Attention of `num_heads` heads, each in its own projection of queries, keys and values.

    Parameters
    ----------
    embed_dim : int
        Length of queries and results; a multiple of `num_heads`.
    num_heads : int
        Heads.
    dropout : float
        Part of the attention weights set to zero in training.
    bias : bool
        Whether the projections have a bias.
    kdim, vdim : int, optional
        Lengths of keys and values; `embed_dim` by default.
    batch_first : bool
        Whether inputs are (batch, positions, length) instead of (positions, batch, length).

    Raises
    ------
    ValueError
        If `embed_dim` is not a multiple of `num_heads`.

    References
    ----------
    Vaswani et al. 2017, Attention is all you need.

    Examples
    --------
    >>> import nbgrad as nb
    >>> attention = nb.nn.MultiheadAttention(4, 2, batch_first=True)
    >>> x = nb.zeros(1, 3, 4)
    >>> y, weights = attention(x, x, x)
    >>> y.shape, weights.shape
    (Size([1, 3, 4]), Size([1, 3, 3]))
    """

    in_proj_weight: Parameter | None
    in_proj_bias: Parameter | None

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        check_positive("MultiheadAttention", embed_dim=embed_dim, num_heads=num_heads)
        if embed_dim % num_heads:
            raise ValueError(
                f"embed_dim must be divisible by num_heads, got {embed_dim} and {num_heads}"
            )
        self.embed_dim, self.num_heads, self.dropout = embed_dim, num_heads, dropout
        self.head_dim, self.batch_first = embed_dim // num_heads, batch_first
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        is_one = self.kdim == self.vdim == embed_dim
        options = {"device": device, "dtype": dtype}
        sizes = {"q_proj_weight": embed_dim, "k_proj_weight": self.kdim, "v_proj_weight": self.vdim}
        joint = Parameter(empty(3 * embed_dim, embed_dim, **options)) if is_one else None
        self.register_parameter("in_proj_weight", joint)
        for name, size in sizes.items():
            own = None if is_one else Parameter(empty(embed_dim, size, **options))
            self.register_parameter(name, own)
        made = Parameter(zeros(3 * embed_dim, **options)) if bias else None
        self.register_parameter("in_proj_bias", made)
        self.out_proj = Linear(embed_dim, embed_dim, bias, **options)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Projections from Glorot's uniform distribution, biases 0, as in PyTorch."""
        names = ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")
        for name in names:
            if getattr(self, name) is not None:
                init.xavier_uniform_(getattr(self, name))
        if self.in_proj_bias is not None:
            init.zeros_(self.in_proj_bias)
            init.zeros_(self.out_proj.bias)  # type: ignore[arg-type]

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """(results, attention weights or None).

        Parameters
        ----------
        query, key, value : Tensor, shape (L, n, length) or (S, n, length)
            Batch first if `batch_first`; without a batch dimension, two dimensions.
        key_padding_mask : Tensor, shape (n, S), optional
            Boolean: True where a key is to be ignored; floating-point: added to the scores.
        need_weights : bool
            Whether the weights are returned, too.
        attn_mask : Tensor, shape (L, S) or (n * num_heads, L, S), optional
            Boolean: True where attention is NOT allowed; floating-point: added to the scores.
        average_attn_weights : bool
            Whether the weights are averaged over heads.
        is_causal : bool
            A hint that `attn_mask` is the causal mask, which must be given, too.
        """
        single = query.ndim == 2
        inputs = [query, key, value]
        if query.ndim not in (2, 3) or len({x.ndim for x in inputs}) != 1:
            raise ShapeError(
                f"query, key and value need 2 dimensions (no batch) or 3, got {[x.shape for x in inputs]}"
            )
        if is_causal and attn_mask is None:
            raise ValueError("is_causal is a hint: attn_mask must be given, too")
        if single:
            inputs = [x.unsqueeze(0) for x in inputs]
        elif not self.batch_first:
            inputs = [x.transpose(0, 1) for x in inputs]
        q, k, v = (self.heads(x, number) for number, x in enumerate(inputs))
        mask = self.mask(q, k, key_padding_mask, attn_mask)
        weights = attention_weights(q, k, mask)
        dropped = (
            dropout(weights, self.dropout, True) if self.training and self.dropout else weights
        )
        n, _, length, _ = q.shape
        y = matmul(dropped, v).transpose(1, 2).reshape(n, length, self.embed_dim)
        y = self.out_proj(y)
        if single:
            y = y.squeeze(0)
        elif not self.batch_first:
            y = y.transpose(0, 1)
        if not need_weights:
            return y, None
        told = weights.mean(1) if average_attn_weights else weights
        return y, told.squeeze(0) if single else told

    def heads(self, x: Tensor, number: int) -> Tensor:
        """Projected queries (0), keys (1) or values (2): shape (n, heads, positions, head_dim)."""
        part = slice(number * self.embed_dim, (number + 1) * self.embed_dim)
        bias = None if self.in_proj_bias is None else self.in_proj_bias[part]
        if self.in_proj_weight is not None:
            weight = self.in_proj_weight[part]
        else:
            weight = getattr(self, ("q_proj_weight", "k_proj_weight", "v_proj_weight")[number])
        n, length, _ = x.shape
        y = linear(x, weight, bias)
        return y.reshape(n, length, self.num_heads, self.head_dim).transpose(1, 2)

    def mask(
        self, q: Tensor, k: Tensor, padding: Tensor | None, attn_mask: Tensor | None
    ) -> Tensor | None:
        """Both masks as one to add to the scores."""
        n, _, length, _ = q.shape
        total = None
        if attn_mask is not None:
            total = forbidden(attn_mask, q.dtype)
            if total.ndim == 3:
                total = total.reshape(n, self.num_heads, length, k.shape[2])
        if padding is not None:
            pad = forbidden(padding, q.dtype).reshape(n, 1, 1, k.shape[2])
            total = pad if total is None else total + pad
        return total


def forbidden(mask: Tensor, dtype: np.dtype) -> Tensor:
    """A mask whose True means "not allowed", to add to scores."""
    return additive_mask(Tensor(~mask.array) if mask.dtype.kind == "b" else mask, dtype)
