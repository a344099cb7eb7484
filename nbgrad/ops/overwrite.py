"""Writes in place that are recorded: a tensor takes on the value, and the history, of another.

    x.mul_(w)      z = x * w is computed; x's memory takes z's values; x's node becomes z's
    x[i] = v       x's memory is written; x's node becomes `overwritten`, with edges to the old x and to v
    x[0].mul_(w)   a view: the tensor whose memory it shows becomes `overwritten` where the view lies, and the view a view of that

What a node saved before a write is protected by versions, not by copies: backward raises (`nbgrad.autograd.versions`).
"""

from typing import Any

import numpy as np

from nbgrad.autograd.buffers import writable
from nbgrad.autograd.grad_mode import is_grad_enabled
from nbgrad.autograd.op import op
from nbgrad.autograd.tensor import Tensor
from nbgrad.autograd.versions import note_rebase, owner
from nbgrad.errors import DtypeError, GraphError, ShapeError
from nbgrad.ops.broadcast import form_of
from nbgrad.ops.index import indexed
from nbgrad.ops.pointwise import cast
from nbgrad.ops.scatter import put_back, put_double


@op(inputs=2)
def overwritten(x, value, index, needs):
    """x after x[index] = value; the write has taken place already, and no element is named twice."""
    return x, (index, form_of(value, needs[1]), needs[0])


@overwritten.vjp
def overwritten(residuals, g):
    return put_back(residuals, g)


@overwritten.double()
def overwritten(residuals, g):
    return put_double(residuals, g)


def is_recorded(x: Tensor, *others: Any) -> bool:
    """Whether a write into x, of a value that depends on the others, must be recorded.

    Raises
    ------
    GraphError
        If x is a leaf that requires grad, or a view of one, while recording is on.
    """
    if not is_grad_enabled():
        return False
    base = x._base
    for tensor, what in ((base, "a view of a leaf"), (x, "a leaf")):
        if tensor is not None and tensor.requires_grad and tensor.node is None:
            raise GraphError(
                f"{what} Variable that requires grad is being used in an in-place operation: the change would not be "
                f"recorded, and the gradient would be of another value. Do it inside `with nb.no_grad():`, or write "
                f"a new tensor"
            )
    if x.requires_grad or (base is not None and base.requires_grad):
        return True
    return any(isinstance(other, Tensor) and other.requires_grad for other in others)


def take(x: Tensor, z: Tensor, what: str, recorded: bool = True) -> Tensor:
    """Write the values of z into the memory of x, and, if recorded, let x have the history of z; returns x.

    Raises
    ------
    ShapeError
        If z has another shape.
    """
    if z.array.shape != x.array.shape:
        raise ShapeError(
            f"{what}: output with shape {x.array.shape} doesn't match the broadcast shape {z.array.shape}; the result of an "
            f"in-place operation has the shape of its tensor"
        )
    if recorded:
        keep_residuals(z, x)
    if z.array.dtype != x.array.dtype:
        if not np.can_cast(z.array.dtype, x.array.dtype, "same_kind"):
            raise DtypeError(
                f"{what}: result type {z.array.dtype} can't be cast to the desired output type {x.array.dtype}"
            )
        z = cast(z, x.array.dtype)
    np.copyto(writable(x, what), z.array)
    if recorded:
        adopt(x, z)
    return x


def keep_residuals(z: Tensor, x: Tensor) -> None:
    """The node that has just made z saved values of x, maybe: it keeps a copy, since x is about to be written."""
    node = z.node
    if node is None or not node.residuals:
        return
    memory = owner(x.array)
    node.residuals = tuple([
        np.array(saved) if type(saved) is np.ndarray and owner(saved) is memory else saved
        for saved in node.residuals
    ])  # fmt: skip


def adopt(x: Tensor, z: Tensor) -> None:
    """x has been given the values of z: it gets z's history, and so does what it is a view of."""
    base = x._base
    if base is not None and owner(base.array) is owner(x.array):
        places = np.unravel_index(places_in(base.array, x.array), base.array.shape)
        rebase(base, overwritten(base, z, places))
        rebase(x, indexed(base, places))
    else:
        rebase(x, z)


def rebase(x: Tensor, z: Tensor) -> None:
    if x.node is not None:
        note_rebase(x.node)
    x.node, x.idx, x.requires_grad = z.node, z.idx, z.requires_grad


def places_in(base: np.ndarray, view: np.ndarray) -> np.ndarray:
    """Where the elements of a view lie in the array that it is a view of, as flat places, in the view's shape.

    Examples
    --------
    >>> import numpy as np
    >>> from nbgrad.ops.overwrite import places_in
    >>> x = np.zeros((2, 3))
    >>> places_in(x, x[:, 1])
    array([1, 4])
    """
    origin = base.ctypes.data
    wanted = offsets(view) + (view.ctypes.data - origin)
    if base.flags.c_contiguous:
        return wanted // base.itemsize
    have = offsets(base).ravel()
    order = np.argsort(have)
    return order[np.searchsorted(have, wanted.ravel(), sorter=order)].reshape(view.shape)


def offsets(array: np.ndarray) -> np.ndarray:
    """The distance in bytes of each element from the first."""
    total = np.zeros(array.shape, np.int64)
    for axis, (n, stride) in enumerate(zip(array.shape, array.strides)):
        total += (np.arange(n) * stride).reshape((-1,) + (1,) * (array.ndim - axis - 1))
    return total
