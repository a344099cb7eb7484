"""Tensors from values: lists, arrays, constants, ranges."""

from typing import Any

import numpy as np

from nbgrad.autograd.buffers import empty as empty_array
from nbgrad.autograd.device import check_device
from nbgrad.autograd.dtypes import as_array, as_dtype, is_floating
from nbgrad.autograd.tensor import Tensor
from nbgrad.errors import DtypeError
from nbgrad.jit.forms import fill
from nbgrad.ops.random import as_size


def made(array: np.ndarray, requires_grad: bool) -> Tensor:
    """A leaf over an array; refuses gradients for integers."""
    if requires_grad and not is_floating(array.dtype):
        raise DtypeError(
            f"Only Tensors of floating point dtype can require gradients, and this one would be {array.dtype}; "
            f"write 1.0 instead of 1, or pass dtype=nb.float32"
        )
    return Tensor(array, requires_grad)


def plain(value: Any) -> Any:
    """Nested lists with the tensors among them replaced by arrays."""
    if isinstance(value, Tensor):
        return value.array
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return value


def tensor(
    data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """A new tensor; the values are copied.

    Parameters
    ----------
    data : number, nested lists, ndarray or Tensor
        Values.  Python floats become the default dtype (float32), integers int64, an ndarray keeps
        its dtype.
    dtype : dtype, optional
        Another dtype.
    requires_grad : bool
        Whether gradients flow into it.

    Returns
    -------
    Tensor

    Raises
    ------
    DtypeError
        If the values are not numbers, or need gradients and are integers.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.tensor([[1, 2], [3, 4]])
    tensor([[1, 2],
            [3, 4]])
    >>> nb.tensor(0.5, requires_grad=True)
    tensor(0.5000, requires_grad=True)
    """
    check_device(device)
    source = plain(data)
    kind = None if dtype is None else as_dtype(dtype)
    array = as_array(source, kind)  # (not by way of the default dtype, which may be shorter)
    if kind is not None:
        array = array.astype(kind)
    elif array is source or isinstance(source, np.ndarray):
        array = array.copy()
    if not array.flags.c_contiguous:
        array = array.copy()
    return made(array, requires_grad)


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """A tensor of the values; memory is shared where possible.

    Examples
    --------
    >>> import numpy as np, nbgrad as nb
    >>> a = np.zeros(2)
    >>> nb.as_tensor(a).array is a
    True
    """
    check_device(device)
    if isinstance(data, Tensor) and (dtype is None or data.dtype == as_dtype(dtype)):
        return data
    kind = None if dtype is None else as_dtype(dtype)
    array = as_array(plain(data), kind)
    return Tensor(array if kind is None else array.astype(kind, copy=False))


def from_numpy(array: np.ndarray) -> Tensor:
    """A tensor that shares memory with an ndarray: writing one changes the other.

    Raises
    ------
    DtypeError
        If it is not an ndarray, or of a dtype that tensors don't have.

    Examples
    --------
    >>> import numpy as np, nbgrad as nb
    >>> a = np.zeros(2)
    >>> x = nb.from_numpy(a)
    >>> a[0] = 1
    >>> x
    tensor([1., 0.], dtype=float64)
    """
    if not isinstance(array, np.ndarray):
        raise DtypeError(f"expected np.ndarray (got {type(array).__name__}); use nb.tensor(...)")
    as_dtype(array.dtype)
    return Tensor(np.asarray(array))


def full(
    size: Any,
    fill_value: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """All elements equal to `fill_value`, whose type decides the dtype.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.full((2,), 7)
    tensor([7, 7])
    """
    check_device(device)
    kind = None if dtype is None else as_dtype(dtype)
    value = as_array(plain(fill_value), kind)
    array = empty_array(as_size((size,)), value.dtype if kind is None else kind)
    fill(array, value)
    return made(array, requires_grad)


def zeros(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """All zeros.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.zeros(2, 2)
    tensor([[0., 0.],
            [0., 0.]])
    """
    return full(as_size(size), 0, dtype=as_dtype(dtype), device=device, requires_grad=requires_grad)


def ones(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """All ones.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.ones(3, dtype=nb.int64)
    tensor([1, 1, 1])
    """
    return full(as_size(size), 1, dtype=as_dtype(dtype), device=device, requires_grad=requires_grad)


def empty(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Uninitialized values.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.empty(2, 5).shape
    Size([2, 5])
    """
    check_device(device)
    return made(empty_array(as_size(size), as_dtype(dtype)), requires_grad)


def zeros_like(x: Tensor, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Zeros in the shape and dtype of `x`.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.zeros_like(nb.ones(2))
    tensor([0., 0.])
    """
    return full_like(x, 0, dtype=dtype, requires_grad=requires_grad)


def ones_like(x: Tensor, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Ones in the shape and dtype of `x`.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.ones_like(nb.zeros(2))
    tensor([1., 1.])
    """
    return full_like(x, 1, dtype=dtype, requires_grad=requires_grad)


def full_like(
    x: Tensor, fill_value: Any, *, dtype: Any = None, requires_grad: bool = False
) -> Tensor:
    """One value, in the shape and dtype of `x`.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.full_like(nb.zeros(2), 5)
    tensor([5., 5.])
    """
    kind = x.array.dtype if dtype is None else dtype
    return full(x.array.shape, fill_value, dtype=kind, requires_grad=requires_grad)


def empty_like(x: Tensor, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Uninitialized values in the shape and dtype of `x`."""
    kind = x.array.dtype if dtype is None else dtype
    return empty(x.array.shape, dtype=kind, requires_grad=requires_grad)


def arange(
    start: Any,
    end: Any = None,
    step: Any = 1,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Numbers from `start` (0 if only one is given) in steps, `end` excluded.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.arange(3)
    tensor([0, 1, 2])
    >>> nb.arange(0.0, 1.0, 0.5)
    tensor([0.0000, 0.5000])
    """
    check_device(device)
    if end is None:
        start, end = 0, start
    array = np.arange(start, end, step)
    kind = as_dtype(dtype) if dtype is not None or array.dtype.kind == "f" else np.dtype("int64")
    return made(array.astype(kind), requires_grad)


def linspace(
    start: float,
    end: float,
    steps: int,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """`steps` numbers at equal distances, both ends included.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.linspace(0, 1, 3)
    tensor([0.0000, 0.5000, 1.0000])
    """
    check_device(device)
    return made(np.linspace(start, end, steps).astype(as_dtype(dtype)), requires_grad)


def eye(
    n: int,
    m: int | None = None,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Ones on the diagonal, zeros elsewhere.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.eye(2)
    tensor([[1., 0.],
            [0., 1.]])
    """
    check_device(device)
    return made(np.eye(n, m, dtype=as_dtype(dtype)), requires_grad)
