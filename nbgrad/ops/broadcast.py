"""Broadcasting: NumPy's road for binary operations, and the sums over what was repeated on the way back."""

from typing import Any

import numpy as np

from nbgrad.autograd.buffers import empty
from nbgrad.autograd.dtypes import float32, float64
from nbgrad.errors import ShapeError
from nbgrad.jit import kernel

Form = tuple[tuple[int, ...], Any] | None  # (shape, dtype) of an input; None: needs no gradient


def form_of(x: Any, needed: bool) -> Form:
    """What `unbroadcast` must know of an input."""
    return (x.shape, x.dtype) if needed else None


def broadcast_shapes(x: Any, y: Any, name: str) -> tuple[int, ...]:
    """The common shape of two operands.

    Raises
    ------
    ShapeError
        If there is none.
    """
    try:
        return np.broadcast_shapes(np.shape(x), np.shape(y))
    except ValueError:
        raise ShapeError(
            f"{name}: shapes {np.shape(x)} and {np.shape(y)} can't be broadcast together: {unequal(np.shape(x), np.shape(y))}; "
            f"compared from the last dimension on, each pair of lengths must be equal or contain a 1"
        ) from None


def unequal(a: tuple[int, ...], b: tuple[int, ...]) -> str:
    """The last pair of lengths that does not fit, in PyTorch's words, which people search for.

    >>> from nbgrad.ops.broadcast import unequal
    >>> unequal((2, 3), (4, 3))
    'The size of tensor a (2) must match the size of tensor b (4) at non-singleton dimension 0'
    """
    n_dims = max(len(a), len(b))
    for back, (m, n) in enumerate(zip(reversed(a), reversed(b)), 1):
        if m != n and 1 not in (m, n):
            return (
                f"The size of tensor a ({m}) must match the size of tensor b ({n}) at non-singleton dimension "
                f"{n_dims - back}"
            )
    return "the sizes do not match"


def by_numpy(ufunc: Any, x: Any, y: Any) -> np.ndarray:
    """NumPy's result as an ndarray; Python numbers do not change the other's dtype."""
    x_kind, y_kind = getattr(x, "dtype", None), getattr(y, "dtype", None)
    dtype = x_kind or y_kind
    same = x_kind is y_kind or x_kind is None or y_kind is None
    if same and (dtype is float32 or dtype is float64):
        if x_kind is y_kind:
            try:
                shape = np.broadcast(x, y).shape
            except ValueError:
                shape = broadcast_shapes(x, y, ufunc.__name__)  # says what is wrong
        else:
            shape = y.shape if x_kind is None else x.shape
        return ufunc(x, y, out=empty(shape, dtype))
    broadcast_shapes(x, y, ufunc.__name__)
    return np.asarray(ufunc(x, y))


def contiguous(x: np.ndarray) -> np.ndarray:
    """The array itself if it is C-contiguous, else a copy that is."""
    if x.flags.c_contiguous:
        return x
    copied = empty(x.shape, x.dtype)
    np.copyto(copied, x)
    return copied


def unbroadcast(g: np.ndarray, form: Form) -> np.ndarray | None:
    """Sum a cotangent down to the shape of the input it belongs to, and give it the input's dtype."""
    if form is None:
        return None
    shape, dtype = form
    if g.shape != shape:
        lead = g.ndim - len(shape)
        if g.shape[lead:] == shape and g.dtype.kind == "f":
            g = sum_leading(g, shape)
        else:
            axes = tuple(
                axis for axis in range(g.ndim) if axis < lead or shape[axis - lead] != g.shape[axis]
            )
            g = np.asarray(g.sum(axes)).reshape(shape)
    return g if g.dtype == dtype else g.astype(dtype)


def unbroadcast_tensor(g: Any, form: Form) -> Any:
    """`unbroadcast` of a tensor, differentiable."""
    if form is None:
        return None
    shape, dtype = form
    if g.array.shape != shape:
        g = g.sum_to_size(shape)
    return g if g.array.dtype == dtype else g.to(dtype)


def sum_leading(g: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Sum over the leading dimensions, so that `shape` is left: the gradient of a bias."""
    total = empty(shape, g.dtype)
    columns = total.size
    if columns:
        _sum_rows(contiguous(g), total, g.size // columns, columns)
    return total


@kernel("a>Ann")
def _sum_rows(g, total, rows, columns):
    # Four rows at a time: `total` is read and written a quarter as often.
    for c in range(columns):
        total[c] = 0
    r = 0
    while r + 4 <= rows:
        a = g[r * columns : (r + 1) * columns]
        b = g[(r + 1) * columns : (r + 2) * columns]
        d = g[(r + 2) * columns : (r + 3) * columns]
        e = g[(r + 3) * columns : (r + 4) * columns]
        for c in range(columns):
            total[c] += (a[c] + b[c]) + (d[c] + e[c])
        r += 4
    while r < rows:
        a = g[r * columns : (r + 1) * columns]
        for c in range(columns):
            total[c] += a[c]
        r += 1
