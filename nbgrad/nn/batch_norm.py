"""Batch normalization layers."""

from typing import Any

from nbgrad.autograd import Parameter, Tensor
from nbgrad.autograd.dtypes import int64
from nbgrad.autograd.outside import outside
from nbgrad.errors import ShapeError
from nbgrad.nn import init
from nbgrad.nn.module import Module, check_positive
from nbgrad.ops import ones, zeros
from nbgrad.ops.batch_norm import batch_norm


class BatchNorm(Module):
    """What the layers share: a scale and a shift per channel, and running statistics for evaluation."""

    dimensions: tuple[int, ...] = ()  # of inputs

    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None
    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        check_positive(type(self).__name__, num_features=num_features)
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        for name, start in (("weight", ones), ("bias", zeros)):
            made = Parameter(start(num_features, dtype=dtype, device=device)) if affine else None
            self.register_parameter(name, made)
        tracked = track_running_stats
        self.register_buffer("running_mean", zeros(num_features, dtype=dtype) if tracked else None)
        self.register_buffer("running_var", ones(num_features, dtype=dtype) if tracked else None)
        self.register_buffer("num_batches_tracked", zeros((), dtype=int64) if tracked else None)

    def reset_running_stats(self) -> None:
        """Forget the batches seen."""
        if self.running_mean is not None and self.running_var is not None:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()  # type: ignore[union-attr]

    def reset_parameters(self) -> None:
        """Scale 1, shift 0, no batch seen."""
        self.reset_running_stats()
        if self.weight is not None and self.bias is not None:
            init.ones_(self.weight)
            init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        """Normalize; in training mode with the statistics of the batch, which are averaged for evaluation."""
        if input.ndim not in self.dimensions or input.shape[1] != self.num_features:
            raise ShapeError(
                f"{type(self).__name__}: expected {' or '.join(f'{n}D' for n in self.dimensions)} input with "
                f"{self.num_features} channels in dimension 1, got shape {tuple(input.shape)}"
            )
        momentum = self.momentum
        if self.training and self.num_batches_tracked is not None:
            count_one(self.num_batches_tracked)
            if momentum is None:  # the plain average of all batches
                momentum = 1.0 / self.num_batches_tracked.item()
        by_batch = self.training or self.running_mean is None
        return batch_norm(
            input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            by_batch,
            momentum or 0.0,
            self.eps,
        )

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"track_running_stats={self.track_running_stats}"
        )


@outside
def count_one(counter: Tensor) -> None:
    """Add 1, in place."""
    counter.add_(1)


class BatchNorm1d(BatchNorm):
    """Batch normalization of inputs of shape (n, channels) or (n, channels, length).

    Parameters
    ----------
    num_features : int
        Channels.
    eps : float
        Added to variances.
    momentum : float or None
        Share of a batch in the running averages; None averages all batches alike.
    affine : bool
        Whether channels are scaled and shifted by parameters.
    track_running_stats : bool
        Whether averages are kept for evaluation; else batches are always normalized by themselves.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.BatchNorm1d(2)(nb.tensor([[1.0, 2.0], [3.0, 6.0]])).array.round(3)
    array([[-1., -1.],
           [ 1.,  1.]], dtype=float32)
    """

    dimensions = (2, 3)


class BatchNorm2d(BatchNorm):
    """Batch normalization of inputs of shape (n, channels, height, width); parameters as of `BatchNorm1d`.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.BatchNorm2d(3)(nb.zeros(2, 3, 4, 4)).shape
    Size([2, 3, 4, 4])
    """

    dimensions = (4,)
