"""Parameters as one vector and back."""

from collections.abc import Iterable

import numpy as np

from nbgrad.autograd import Tensor
from nbgrad.autograd.buffers import writable
from nbgrad.errors import ShapeError
from nbgrad.ops.join import cat
from nbgrad.ops.shape import reshape


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All parameters, flat, one after another.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.utils.parameters_to_vector([nb.ones(1, 2), nb.zeros(1)])
    tensor([1., 1., 0.])
    """
    return cat([reshape(p, -1) for p in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Copy consecutive pieces of a vector into parameters, in place.

    Raises
    ------
    ShapeError
        If the vector is too short.
    """
    start = 0
    for p in parameters:
        piece = vec.array[start : start + p.array.size]
        if piece.size != p.array.size:
            raise ShapeError(
                f"vector_to_parameters: the vector has {vec.array.size} elements, and the parameters need more"
            )
        np.copyto(writable(p), piece.reshape(p.array.shape))
        start += p.array.size
