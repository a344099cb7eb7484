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
from nbgrad.ops.dims import dim_of
from nbgrad.ops.index import grid, plain_index
from nbgrad.ops.random import default_generator


def target(x: Tensor, what: str, *others: Any) -> Any:
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
    return x.data if x.is_sparse else writable(x, what)


def plain(value: Any) -> Any:
    return value.data if isinstance(value, Tensor) else value


SPARSE: dict[Any, Any] = {
    np.add: operator.add,
    np.subtract: operator.sub,
    np.multiply: operator.mul,
    np.true_divide: operator.truediv,
}


def apply(name: str, ufunc: Any, x: Tensor, y: Any) -> Tensor:
    array, value = target(x, name, y), plain(y)
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
    return apply("add_", np.add, x, other if alpha == 1 else scaled(other, alpha, x))


def sub_(x: Tensor, other: Any, *, alpha: float = 1) -> Tensor:
    """x -= alpha * other, in place."""
    return apply("sub_", np.subtract, x, other if alpha == 1 else scaled(other, alpha, x))


def scaled(other: Any, alpha: float, x: Tensor) -> Any:
    target(x, "add_", other)
    return plain(other) * alpha


def mul_(x: Tensor, other: Any) -> Tensor:
    """x *= other, in place."""
    return apply("mul_", np.multiply, x, other)


def div_(x: Tensor, other: Any) -> Tensor:
    """x /= other, in place."""
    return apply("div_", np.true_divide, x, other)


def zero_(x: Tensor) -> Tensor:
    """All elements 0, in place."""
    return mul_(x, 0) if x.is_sparse else fill_(x, 0)


def fill_(x: Tensor, value: Any) -> Tensor:
    """All elements equal to a number, in place."""
    target(x, "fill_", value).fill(value.item() if isinstance(value, Tensor) else value)
    return x


def copy_(x: Tensor, source: Any) -> Tensor:
    """The elements of another tensor, broadcast and converted, in place."""
    array = target(x, "copy_", source)
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
    array = target(x, "clamp_", min, max)
    np.clip(array, plain(min), plain(max), out=array)
    return x


def uniform_(x: Tensor, a: float = 0.0, b: float = 1.0, *, generator: Any = None) -> Tensor:
    """Uniform numbers in [a, b), in place."""
    array = target(x, "uniform_")
    rng = (generator or default_generator).rng
    array[...] = rng.random(array.shape, array.dtype) * (b - a) + a
    return x


def normal_(x: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Any = None) -> Tensor:
    """Normal numbers, in place."""
    array = target(x, "normal_")
    rng = (generator or default_generator).rng
    array[...] = rng.standard_normal(array.shape, array.dtype) * std + mean
    return x


def random_(x: Tensor, from_: int = 0, to: int | None = None, *, generator: Any = None) -> Tensor:
    """Whole numbers drawn from `from_` to `to - 1` (all that the dtype holds exactly, if None), in place.

    Parameters
    ----------
    from_, to : int
        Limits; a single argument is `to`, as in PyTorch.
    generator : Generator, optional
        Where from; default: this process's.

    Raises
    ------
    ValueError
        If there is no number between the limits.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.empty(3).random_(5, 6)
    tensor([5., 5., 5.])
    """
    array = target(x, "random_")
    if to is None:
        from_, to = (0, from_) if from_ else (0, None)
    if to is None:
        is_float = array.dtype.kind == "f"
        limit = (1 << np.finfo(array.dtype).nmant + 1) if is_float else limit_of(array.dtype)
    else:
        limit = to
    if from_ >= limit:
        raise ValueError(
            f"random_ expects 'from' to be less than 'to', but got from={from_} >= to={limit}"
        )
    rng = (generator or default_generator).rng
    array[...] = rng.integers(from_, limit, array.shape, np.int64)
    return x


def limit_of(dtype: np.dtype) -> int:
    """One more than the largest whole number of a dtype (int64: the largest itself)."""
    return 2 if dtype.kind == "b" else min(int(np.iinfo(dtype).max) + 1, (1 << 63) - 1)


def scatter_(x: Tensor, dim: int, index: Tensor, src: Any = None, *, value: Any = None) -> Tensor:
    """x[index[i][j]][j] = src[i][j] for dim 0, and so on for other dimensions, in place.

    Parameters
    ----------
    dim : int
        Along which to write.
    index : Tensor of int64
        As many dimensions as `x`, each at most as large as that of `src`.
    src : Tensor or number
        What to write; a number may also be given as `value`.

    Raises
    ------
    ShapeError
        If dimensions don't match.
    IndexError
        If an index is out of range.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.zeros(2, 3).scatter_(1, nb.tensor([[2], [0]]), 1.0)
    tensor([[0., 0., 1.],
            [1., 0., 0.]])
    """
    array, places = target(x, "scatter_", src), index.data
    source = plain(value if src is None else src)
    if places.ndim != array.ndim or np.ndim(source) not in (0, array.ndim):
        raise ShapeError(
            f"scatter_: Index tensor must have the same number of dimensions as self tensor and src: {places.shape}, "
            f"{array.shape} and {np.shape(source)}"
        )
    if np.ndim(source):
        source = source[tuple([slice(n) for n in places.shape])]
    array[grid(places, dim_of(dim, array.ndim))] = source
    return x


def setitem(x: Tensor, index: Any, value: Any) -> None:
    """x[index] = value, in place."""
    target(x, "__setitem__", value)[plain_index(index)] = plain(value)


def augmented(in_place: Any, plain_op: Any) -> Any:
    """The method behind `x += y`: in place where nothing is recorded, else a new tensor for the name x."""

    def method(x: Tensor, other: Any) -> Any:
        recorded = is_grad_enabled() and (
            (x.requires_grad and x.node is not None)
            or (not x.requires_grad and isinstance(other, Tensor) and other.requires_grad)
        )
        return plain_op(x, other) if recorded else in_place(x, other)

    return method
