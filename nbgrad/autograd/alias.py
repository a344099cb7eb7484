"""`x.data` and `x.detach()`: tensors that show the memory of another one, outside of its graph.

What is written through them is seen by `x`, also when the write has to move `x` to other memory (`nbgrad.autograd.buffers`): they
know whose memory they show.  They know it weakly, so that keeping a detached loss doesn't keep its graph.
"""

import weakref
from typing import Any

import numpy as np

from nbgrad.autograd.dtypes import is_floating
from nbgrad.autograd.tensor import Tensor
from nbgrad.errors import DtypeError


class Unnoted(weakref.ref):
    """The tensor whose `data` this is: what is written there counts for no version."""

    __slots__ = ()


def data(self: Tensor) -> Tensor:
    """The same values, cut off the graph; memory is shared, and writes into it are not checked.

    `x.data.mul_(2)` changes `x` unseen by autograd: a VJP that saved `x` before computes with what it finds there.
    `x.detach()` gives the same values, and such a VJP raises.  The ndarray itself is `x.array`.

    Examples
    --------
    >>> import nbgrad as nb
    >>> x = nb.ones(2, requires_grad=True)
    >>> x.data.mul_(3)
    tensor([3., 3.])
    >>> x
    tensor([3., 3.], requires_grad=True)
    >>> x.data = nb.zeros(1)
    >>> x
    tensor([0.], requires_grad=True)
    """
    if self.array.__class__ is not np.ndarray and not self.requires_grad:
        return self  # a sparse gradient: writing it gives it new arrays
    twin = Tensor(self.array)
    twin.view_of = Unnoted(self)
    return twin


def set_data(self: Tensor, value: Any) -> None:
    """Let the tensor show the memory of another one from now on; gradients and history stay.

    Raises
    ------
    DtypeError
        If it is no tensor, or of whole numbers while this one requires grad.
    """
    if not isinstance(value, Tensor):
        raise DtypeError(
            f"Variable data has to be a tensor, but got {type(value).__name__}; nb.tensor(...) copies numbers, "
            f"nb.from_numpy(...) shares the memory of an array"
        )
    if self.requires_grad and not is_floating(value.array.dtype):
        raise DtypeError(
            f"data set to a tensor that requires gradients must be floating point, and this is {value.array.dtype}"
        )
    self.array = value.array


def detach(self: Tensor) -> Tensor:
    """The same values, cut off the graph; memory is shared."""
    twin = Tensor(self.array)
    twin.view_of = weakref.ref(self)
    return twin


Tensor.data = property(data, set_data)  # type: ignore[attr-defined]
Tensor.detach = detach  # type: ignore[attr-defined]
