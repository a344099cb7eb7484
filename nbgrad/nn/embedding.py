"""Embedding layers: a matrix of which each integer names a row."""

from typing import Any

from nbgrad.autograd import Parameter, Tensor
from nbgrad.autograd.buffers import writable
from nbgrad.errors import ShapeError
from nbgrad.nn import init
from nbgrad.nn.module import Module, check_positive
from nbgrad.ops.creation import empty
from nbgrad.ops.embedding import NO_PADDING, embedding, padding_row, refuse
from nbgrad.ops.embedding_bag import embedding_bag


class Rows(Module):
    """The matrix of both layers."""

    weight: Parameter

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None,
        max_norm: float | None,
        norm_type: float,
        scale_grad_by_freq: bool,
        sparse: bool,
        weight: Tensor | None,
        freeze: bool,
        device: Any,
        dtype: Any,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        check_positive(name, num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        row = padding_row(padding_idx, num_embeddings)
        self.padding_idx = None if row == NO_PADDING else row
        refuse(max_norm, scale_grad_by_freq)
        self.max_norm, self.norm_type = max_norm, norm_type
        self.scale_grad_by_freq, self.sparse = scale_grad_by_freq, sparse
        if weight is None:
            made = empty(num_embeddings, embedding_dim, dtype=dtype, device=device)
            self.weight = Parameter(made, not freeze)
            self.reset_parameters()
        else:
            if tuple(weight.shape) != (num_embeddings, embedding_dim):
                raise ShapeError(
                    f"Shape of weight does not match num_embeddings and embedding_dim: {tuple(weight.shape)} is not "
                    f"{(num_embeddings, embedding_dim)}"
                )
            self.weight = Parameter(weight, not freeze)

    def reset_parameters(self) -> None:
        """Draw new initial values; the padding is 0."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            writable(self.weight)[self.padding_idx] = 0

    def extra_repr(self) -> str:
        text = f"{self.num_embeddings}, {self.embedding_dim}"
        text += "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return text + (", sparse=True" if self.sparse else "")


def matrix(embeddings: Tensor) -> tuple:
    """The shape of pretrained weights."""
    if embeddings.ndim != 2:
        raise ShapeError(
            f"Embeddings parameter is expected to be 2-dimensional, got shape {tuple(embeddings.shape)}"
        )
    return tuple(embeddings.shape)


class Embedding(Rows):
    """Rows of a matrix, chosen by integers.

    Parameters
    ----------
    num_embeddings, embedding_dim : int
        Rows and columns of the matrix.
    padding_idx : int, optional
        A row that starts at 0 and gets no gradient.
    max_norm, norm_type, scale_grad_by_freq
        PyTorch's; refused.
    sparse : bool
        Whether the gradient of the matrix is sparse: only the rows that were chosen (for `SGD` and `SparseAdam`).

    Notes
    -----
    Initial values are normal, with mean 0 and standard deviation 1.

    Examples
    --------
    >>> import nbgrad as nb
    >>> layer = nb.nn.Embedding(10, 3, padding_idx=0)
    >>> layer
    Embedding(10, 3, padding_idx=0)
    >>> layer(nb.tensor([[1, 2, 0, 5], [4, 3, 2, 9]])).shape
    Size([2, 4, 3])
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Tensor | None = None,
        _freeze: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq,
            sparse, _weight, _freeze, device, dtype,
        )  # fmt: skip

    def forward(self, input: Tensor) -> Tensor:
        return embedding(input, self.weight, self.padding_idx, sparse=self.sparse)

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> "Embedding":
        """A layer over given weights, which are trained only with freeze=False.

        Examples
        --------
        >>> import nbgrad as nb
        >>> layer = nb.nn.Embedding.from_pretrained(nb.eye(2))
        >>> layer(nb.tensor([1]))
        tensor([[0., 1.]])
        """
        rows, columns = matrix(embeddings)
        return cls(
            rows, columns, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse, embeddings,
            freeze,
        )  # fmt: skip


class EmbeddingBag(Rows):
    """Sums, means or maxima over bags of rows of a matrix, without making the rows.

    Parameters
    ----------
    num_embeddings, embedding_dim : int
        Rows and columns of the matrix.
    max_norm, norm_type, scale_grad_by_freq
        PyTorch's; refused.
    mode : {"mean", "sum", "max"}
        The reduction.
    sparse : bool
        Whether the gradient of the matrix is sparse; not for "max".
    include_last_offset : bool
        Whether offsets end with the end of the last bag.
    padding_idx : int, optional
        A row that starts at 0 and is left out of all bags.

    Notes
    -----
    Initial values are normal, with mean 0 and standard deviation 1.

    Examples
    --------
    >>> import nbgrad as nb
    >>> layer = nb.nn.EmbeddingBag(10, 3, mode="sum")
    >>> layer
    EmbeddingBag(10, 3, mode='sum')
    >>> layer(nb.tensor([1, 2, 4, 5, 4, 3, 2, 9]), nb.tensor([0, 4])).shape
    Size([2, 3])
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        _weight: Tensor | None = None,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq,
            sparse, _weight, False, device, dtype,
        )  # fmt: skip
        self.mode, self.include_last_offset = mode, include_last_offset

    def forward(
        self,
        input: Tensor,
        offsets: Tensor | None = None,
        per_sample_weights: Tensor | None = None,
    ) -> Tensor:
        return embedding_bag(
            input,
            self.weight,
            offsets,
            mode=self.mode,
            sparse=self.sparse,
            per_sample_weights=per_sample_weights,
            include_last_offset=self.include_last_offset,
            padding_idx=self.padding_idx,
        )

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
    ) -> "EmbeddingBag":
        """A layer over given weights, which are trained only with freeze=False.

        Examples
        --------
        >>> import nbgrad as nb
        >>> layer = nb.nn.EmbeddingBag.from_pretrained(nb.eye(2), mode="sum")
        >>> layer(nb.tensor([[1, 1]]))
        tensor([[0., 2.]])
        """
        rows, columns = matrix(embeddings)
        layer = cls(
            rows, columns, max_norm, norm_type, scale_grad_by_freq, mode, sparse, embeddings,
            include_last_offset, padding_idx,
        )  # fmt: skip
        layer.weight.requires_grad = not freeze
        return layer

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, mode={self.mode!r}"
