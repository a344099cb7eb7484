"""Constructors by dtype, as older PyTorch programs use them: `LongTensor([1, 2])`, `FloatTensor(2, 3)`."""

from typing import Any

import numpy as np

from nbgrad.autograd.dtypes import bool_, float32, float64, int8, int16, int32, int64, uint8
from nbgrad.autograd.tensor import Tensor
from nbgrad.ops.creation import empty, tensor


def constructor(name: str, dtype: np.dtype) -> Any:
    """The function `name` that makes tensors of one dtype."""

    def make(*args: Any) -> Tensor:
        if len(args) == 1 and not isinstance(args[0], int | np.integer):
            return tensor(args[0], dtype=dtype)
        return empty(*[int(size) for size in args] or [0], dtype=dtype)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"""A tensor of {dtype}: of the given values, or of the given size and uninitialized.

    Parameters
    ----------
    *args : nested lists, ndarray or Tensor; or int, int, ...
        Values, or sizes; nothing makes an empty vector.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.{name}([1, 0]).dtype
    dtype('{dtype}')
    >>> nb.{name}(2, 3).shape
    Size([2, 3])
    """
    return make


FloatTensor = constructor("FloatTensor", float32)
DoubleTensor = constructor("DoubleTensor", float64)
LongTensor = constructor("LongTensor", int64)
IntTensor = constructor("IntTensor", int32)
ShortTensor = constructor("ShortTensor", int16)
CharTensor = constructor("CharTensor", int8)
ByteTensor = constructor("ByteTensor", uint8)
BoolTensor = constructor("BoolTensor", bool_)
