"""Operations in place: arithmetic, assignment, random values.

Where nothing is recorded the memory is written directly; else the write becomes a part of the graph: `nbgrad.ops.overwrite`.
"""

import operator
from typing import Any

import numpy as np

from nbgrad.autograd.buffers import writable
from nbgrad.autograd.sparse import SparseArray
from nbgrad.autograd.tensor import Tensor
from nbgrad.errors import DtypeError, GraphError, ShapeError
from nbgrad.ops.arithmetic import add, div, mul, sub
from nbgrad.ops.index import plain_index
from nbgrad.ops.overwrite import adopt, is_recorded, overwritten, take
from nbgrad.ops.random import default_generator


def target(x: Tensor, what: str, *others: Any) -> Any:
    """The array to write, after the checks; what is sparse can't be written.

    Raises
    ------
    GraphError
        If recording is on and x, or what is written into it, requires grad.
    """
    if is_recorded(x, *others):
        raise GraphError(
            f"{what} of a tensor that requires grad is not recorded; do it inside `with nb.no_grad():`"
        )
    return x.array if x.is_sparse else writable(x, what)


def plain(value: Any) -> Any:
    return value.array if isinstance(value, Tensor) else value


SPARSE: dict[Any, Any] = {
    np.add: operator.add,
    np.subtract: operator.sub,
    np.multiply: operator.mul,
    np.true_divide: operator.truediv,
}


def apply(name: str, operation: Any, ufunc: Any, x: Tensor, y: Any) -> Tensor:
    """x = x operation y, in the memory of x."""
    if is_recorded(x, y):
        return take(x, operation(x, y), name)
    array, value = target(x, name), plain(y)
    if isinstance(array, SparseArray):  # its arrays are not written: the tensor gets new ones
        x.array = SPARSE[ufunc](array, value)
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
    return apply("add_", add, np.add, x, other if alpha == 1 else other * alpha)


def sub_(x: Tensor, other: Any, *, alpha: float = 1) -> Tensor:
    """x -= alpha * other, in place."""
    return apply("sub_", sub, np.subtract, x, other if alpha == 1 else other * alpha)


def mul_(x: Tensor, other: Any) -> Tensor:
    """x *= other, in place."""
    return apply("mul_", mul, np.multiply, x, other)


def div_(x: Tensor, other: Any) -> Tensor:
    """x /= other, in place."""
    return apply("div_", div, np.true_divide, x, other)


def zero_(x: Tensor) -> Tensor:
    """All elements 0, in place."""
    return mul_(x, 0) if x.is_sparse else fill_(x, 0)


def fill_(x: Tensor, value: Any) -> Tensor:
    """All elements equal to a number, in place."""
    if is_recorded(x, value):
        setitem(x, ..., value)
    else:
        target(x, "fill_").fill(value.item() if isinstance(value, Tensor) else value)
    return x


def copy_(x: Tensor, source: Any, non_blocking: bool = False) -> Tensor:
    """The elements of another tensor, broadcast and converted, in place."""
    if is_recorded(x, source):
        setitem(x, ..., source)
        return x
    array = target(x, "copy_")
    values = np.asarray(plain(source))
    try:
        np.copyto(array, values, casting="unsafe")
    except ValueError as error:
        raise ShapeError(
            f"copy_: shape {values.shape} can't be copied into shape {array.shape}"
        ) from error
    return x


def setitem(x: Tensor, index: Any, value: Any) -> None:
    """x[index] = value, in place.

    Examples
    --------
    >>> import nbgrad as nb
    >>> w = nb.ones(2, requires_grad=True)
    >>> x = nb.zeros(3)
    >>> x[1:] = w
    >>> x.sum().backward()
    >>> w.grad
    tensor([1., 1.])
    """
    recorded = is_recorded(x, value)
    places = plain_index(index)
    values = plain(value)
    array = writable(x, "__setitem__")
    array[places] = values
    if recorded:
        extra = np.ndim(values) - array[places].ndim
        if extra > 0:  # leading dimensions of length 1
            value = value.reshape(value.shape[extra:])
        adopt(x, overwritten(x, value, places))


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
