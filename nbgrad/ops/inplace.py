"""In-place operations, on tensors that no graph depends on.

They are for parameters under `nb.no_grad()`, buffers and constants.  While recording, writing a tensor
that requires grad would change values that a backward pass needs, so it is refused.
"""

import operator
from typing import Any

import numpy as np

from nbgrad.autograd.buffers import writable
from nbgrad.autograd.grad_mode import is_grad_enabled
from nbgrad.autograd.sparse import SparseArray
from nbgrad.autograd.tensor import Tensor
from nbgrad.errors import DtypeError, GraphError, ShapeError
from nbgrad.ops.index import plain_index
from nbgrad.ops.random import default_generator


def target(x: Tensor, *others: Any) -> Any:
    """The array to write, after the checks; what is sparse can't be written.

    Raises
    ------
    GraphError
        If recording is on and x, or what is written into it, requires grad.
    """
    if is_grad_enabled():
        if x.requires_grad and x.node is None:
            raise GraphError(
                "a leaf Variable that requires grad is being used in an in-place operation: the change would not be "
                "recorded, and its gradient would be of another value. Do it inside `with nb.no_grad():`, or write "
                "a new tensor"
            )
        if x.requires_grad or any(isinstance(o, Tensor) and o.requires_grad for o in others):
            raise GraphError(
                "an in-place operation on values that require grad is not recorded yet; write x = x + y instead of "
                "x += y, or do it inside `with nb.no_grad():`"
            )
    return x.data if x.is_sparse else writable(x)


def plain(value: Any) -> Any:
    return value.data if isinstance(value, Tensor) else value


SPARSE: dict[Any, Any] = {
    np.add: operator.add,
    np.subtract: operator.sub,
    np.multiply: operator.mul,
    np.true_divide: operator.truediv,
}


def apply(ufunc: Any, x: Tensor, y: Any) -> Tensor:
    array, value = target(x, y), plain(y)
    if isinstance(array, SparseArray):  # its arrays are not written: the tensor gets new ones
        x.data = SPARSE[ufunc](array, value)
    elif isinstance(value, SparseArray):
        if ufunc not in (np.add, np.subtract):
            raise DtypeError(
                f"in-place {ufunc.__name__} of a dense tensor by a sparse one is not supported; call .to_dense() on it"
            )
        (value if ufunc is np.add else -value).add_to(array)
    else:
        try:
            ufunc(array, value, out=array, casting="same_kind")
        except (ValueError, np.exceptions.DTypePromotionError) as error:
            raise ShapeError(
                f"in-place {ufunc.__name__}: output with shape {array.shape} doesn't match the broadcast shape: "
                f"{np.shape(value)} does not fit into it"
            ) from error
    return x


def add_(x: Tensor, other: Any, *, alpha: float = 1) -> Tensor:
    """x += alpha * other, in place."""
    return apply(np.add, x, other if alpha == 1 else scaled(other, alpha, x))


def sub_(x: Tensor, other: Any, *, alpha: float = 1) -> Tensor:
    """x -= alpha * other, in place."""
    return apply(np.subtract, x, other if alpha == 1 else scaled(other, alpha, x))


def scaled(other: Any, alpha: float, x: Tensor) -> Any:
    target(x, other)
    return plain(other) * alpha


def mul_(x: Tensor, other: Any) -> Tensor:
    """x *= other, in place."""
    return apply(np.multiply, x, other)


def div_(x: Tensor, other: Any) -> Tensor:
    """x /= other, in place."""
    return apply(np.true_divide, x, other)


def zero_(x: Tensor) -> Tensor:
    """All elements 0, in place."""
    return mul_(x, 0) if x.is_sparse else fill_(x, 0)


def fill_(x: Tensor, value: Any) -> Tensor:
    """All elements equal to a number, in place."""
    target(x, value).fill(value.item() if isinstance(value, Tensor) else value)
    return x


def copy_(x: Tensor, source: Any) -> Tensor:
    """The elements of another tensor, broadcast and converted, in place."""
    array = target(x, source)
    values = np.asarray(plain(source))
    try:
        np.copyto(array, values, casting="unsafe")
    except ValueError as error:
        raise ShapeError(
            f"copy_: shape {values.shape} can't be copied into shape {array.shape}"
        ) from error
    return x


def clamp_(x: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """Elements cut to limits, in place."""
    array = target(x, min, max)
    np.clip(array, plain(min), plain(max), out=array)
    return x


def uniform_(x: Tensor, a: float = 0.0, b: float = 1.0, *, generator: Any = None) -> Tensor:
    """Uniform numbers in [a, b), in place."""
    array = target(x)
    rng = (generator or default_generator).rng
    array[...] = rng.random(array.shape, array.dtype) * (b - a) + a
    return x


def normal_(x: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Any = None) -> Tensor:
    """Normal numbers, in place."""
    array = target(x)
    rng = (generator or default_generator).rng
    array[...] = rng.standard_normal(array.shape, array.dtype) * std + mean
    return x


def setitem(x: Tensor, index: Any, value: Any) -> None:
    """x[index] = value, in place."""
    target(x, value)[plain_index(index)] = plain(value)


def augmented(in_place: Any, plain_op: Any) -> Any:
    """The method behind `x += y`: in place where nothing is recorded, else a new tensor for the name x."""

    def method(x: Tensor, other: Any) -> Any:
        recorded = is_grad_enabled() and (
            (x.requires_grad and x.node is not None)
            or (not x.requires_grad and isinstance(other, Tensor) and other.requires_grad)
        )
        return plain_op(x, other) if recorded else in_place(x, other)

    return method
