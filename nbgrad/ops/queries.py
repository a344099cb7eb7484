"""Questions about tensors, and conversions that change nothing here: what programs ask before they compute."""

from typing import Any

from nbgrad.autograd.dtypes import as_dtype, is_floating
from nbgrad.autograd.tensor import Tensor
from nbgrad.ops.creation import empty
from nbgrad.ops.pointwise import cast


def is_tensor(obj: Any) -> bool:
    """Whether something is a tensor.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.is_tensor(nb.ones(1)), nb.is_tensor(1.0)
    (True, False)
    """
    return isinstance(obj, Tensor)


def is_floating_point(input: Tensor) -> bool:
    """Whether its dtype is float32 or float64."""
    return is_floating(input.array.dtype)


def numel(input: Tensor) -> int:
    """Number of elements.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.numel(nb.ones(2, 3))
    6
    """
    return input.array.size


def detach(input: Tensor) -> Tensor:
    """The same values, cut off the graph."""
    return input.detach()


def get_device(x: Tensor) -> int:
    """-1, as for every tensor on the CPU."""
    return -1


def type_as(x: Tensor, other: Tensor) -> Any:
    """x in the dtype of another tensor."""
    if x.array.dtype == other.array.dtype:
        return x
    return cast(x if is_floating(other.array.dtype) else x.detach(), other.array.dtype)


def new_empty(x: Tensor, *size: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """An uninitialized tensor in the dtype of x."""
    kind = x.array.dtype if dtype is None else as_dtype(dtype)
    return empty(*size, dtype=kind, requires_grad=requires_grad)


def itself(x: Tensor, *ignored: Any, **also: Any) -> Tensor:
    """x itself: there is no other memory that it could be moved to."""
    return x


METHODS: dict[str, Any] = {
    "get_device": get_device,
    "is_cuda": property(lambda x: False),
    "is_pinned": lambda x: False,
    "ndimension": lambda x: x.array.ndim,
    "nelement": numel,
    "new_empty": new_empty,
    "pin_memory": itself,
    "type_as": type_as,
}
