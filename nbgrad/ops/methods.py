"""Operators and methods of Tensor, bound from above: tensors do not know operations.

A method is the op itself, so `x * y` is one call.
"""

from typing import Any

import numpy as np

from nbgrad.autograd.device import check_device
from nbgrad.autograd.device import device as device_class
from nbgrad.autograd.dtypes import as_dtype, bool_, float32, float64, int32, int64, is_floating
from nbgrad.autograd.tensor import Tensor
from nbgrad.errors import DtypeError
from nbgrad.ops import (
    activation,
    arithmetic,
    arrange,
    choose,
    combine,
    compare,
    counting,
    exponential,
    extrema,
    factorize,
    index,
    inplace,
    join,
    linalg,
    matmul,
    order,
    peak,
    pointwise,
    power,
    queries,
    rearrange,
    reduce,
    rounding,
    scan,
    scatter,
    shape,
    softmax,
    sparse,
    special,
    trigonometry,
    unfold,
)
from nbgrad.ops.creation import full, tensor
from nbgrad.ops.inplace_forms import forms, in_place


def swapped(operation: Any) -> Any:
    """`2 - x` calls x.__rsub__(2)."""

    def method(x: Tensor, other: Any) -> Any:
        return operation(other, x)

    method.__name__ = operation.__name__
    return method


def to(x: Tensor, *args: Any, dtype: Any = None, device: Any = None, **ignored: Any) -> Tensor:
    """x in another dtype; a device ("cpu") is accepted and changes nothing.

    Parameters
    ----------
    *args : dtype, device or Tensor
        What to convert to; a tensor stands for its dtype.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.ones(1).to(nb.float64).dtype
    dtype('float64')
    """
    for arg in args:
        if isinstance(arg, Tensor):
            dtype = arg.array.dtype
        elif isinstance(arg, device_class) or (isinstance(arg, str) and not is_dtype_name(arg)):
            device = arg
        elif arg is not None and not isinstance(arg, bool):
            dtype = arg
    check_device(device)
    if dtype is None:
        return x
    wanted = as_dtype(dtype)
    if x.array.dtype == wanted:
        return x
    return pointwise.cast(x if is_floating(wanted) else x.detach(), wanted)


def is_dtype_name(name: str) -> bool:
    try:
        np.dtype(name)
    except TypeError:
        return False
    return True


def converter(dtype: Any) -> Any:
    def method(x: Tensor) -> Tensor:
        return to(x, dtype)

    method.__doc__ = f"x as {dtype}."
    return method


def cpu(x: Tensor) -> Tensor:
    """x itself: all tensors are on the CPU."""
    return x


def cuda(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Refused: there is no GPU here."""
    check_device("cuda")
    return x


def detach_(x: Tensor) -> Tensor:
    """Cut x off the graph, in place; returns it."""
    x.node, x.requires_grad, x.idx = None, False, 0
    return x


def type_(x: Tensor, dtype: Any = None) -> Any:
    """The dtype, or x converted to one."""
    return x.array.dtype if dtype is None else to(x, dtype)


def view(x: Tensor, *sizes: Any) -> Tensor:
    """The same elements in another shape; see `nb.reshape`."""
    return shape.reshape(x, *sizes)


def view_as(x: Tensor, other: Tensor) -> Tensor:
    """x in the shape of another tensor."""
    return shape.reshape(x, tuple(other.shape))


def expand_as(x: Tensor, other: Tensor) -> Tensor:
    """x expanded to the shape of another tensor."""
    return shape.expand(x, tuple(other.shape))


def matrix_transpose(x: Tensor) -> Tensor:
    """The last two dimensions exchanged."""
    return shape.transpose(x, -2, -1)


def new_tensor(x: Tensor, data: Any, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor of the given values in the dtype of x."""
    kind = x.array.dtype if dtype is None else dtype
    return tensor(data, dtype=kind, requires_grad=requires_grad)


def new_full(x: Tensor, size: Any, fill_value: Any, *, dtype: Any = None) -> Tensor:
    """A tensor of one value in the dtype of x."""
    return full(size, fill_value, dtype=x.array.dtype if dtype is None else dtype)


def new_zeros(x: Tensor, *size: Any, dtype: Any = None) -> Tensor:
    """Zeros in the dtype of x."""
    return new_full(x, size[0] if len(size) == 1 else size, 0, dtype=dtype)


def new_ones(x: Tensor, *size: Any, dtype: Any = None) -> Tensor:
    """Ones in the dtype of x."""
    return new_full(x, size[0] if len(size) == 1 else size, 1, dtype=dtype)


def where(x: Tensor, condition: Tensor, other: Any) -> Tensor:
    """x where the condition holds, else `other`."""
    return choose.where(condition, x, other)


def no_setting(x: Tensor, value: Any) -> None:
    raise DtypeError("x.T can't be assigned; assign to x")


OPERATORS: dict[str, Any] = {
    "__add__": arithmetic.add,
    "__radd__": arithmetic.add,
    "__sub__": arithmetic.sub,
    "__rsub__": swapped(arithmetic.sub),
    "__mul__": arithmetic.mul,
    "__rmul__": arithmetic.mul,
    "__truediv__": arithmetic.div,
    "__rtruediv__": swapped(arithmetic.div),
    "__floordiv__": arithmetic.floor_divide,
    "__rfloordiv__": swapped(arithmetic.floor_divide),
    "__mod__": arithmetic.remainder,
    "__rmod__": swapped(arithmetic.remainder),
    "__pow__": power.pow,
    "__rpow__": swapped(power.pow),
    "__matmul__": matmul.matmul,
    "__rmatmul__": swapped(matmul.matmul),
    "__neg__": pointwise.neg,
    "__abs__": pointwise.abs,
    "__eq__": compare.eq,
    "__ne__": compare.ne,
    "__lt__": compare.lt,
    "__le__": compare.le,
    "__gt__": compare.gt,
    "__ge__": compare.ge,
    "__and__": compare.bitwise_and,
    "__rand__": swapped(compare.bitwise_and),
    "__or__": compare.bitwise_or,
    "__ror__": swapped(compare.bitwise_or),
    "__xor__": compare.bitwise_xor,
    "__rxor__": swapped(compare.bitwise_xor),
    "__invert__": compare.bitwise_not,
    "__getitem__": index.getitem,
    "__setitem__": inplace.setitem,
    "__iadd__": inplace.add_,
    "__isub__": inplace.sub_,
    "__imul__": inplace.mul_,
    "__itruediv__": inplace.div_,
}

SAME_NAME: dict[Any, str] = {
    activation: "relu",
    arithmetic: "add sub mul div floor_divide fmod remainder",
    arrange: "broadcast_to movedim narrow ravel select swapaxes swapdims tensor_split unflatten",
    choose: "clamp",
    counting: "argwhere bincount count_nonzero isin nonzero unique",
    combine: "lerp addcmul addcdiv addmm addmv addr addbmm baddbmm outer ger inner kron",
    compare: (
        "eq ne lt le gt ge logical_and logical_or logical_xor logical_not bitwise_and bitwise_or bitwise_xor "
        "bitwise_not isnan isinf isfinite equal allclose isclose"
    ),
    exponential: "exp2 expm1 log2 log10 logit square logaddexp sinc xlogy",
    extrema: "maximum minimum",
    index: "gather index_select masked_fill masked_select",
    inplace: "add_ sub_ mul_ div_ zero_ fill_ copy_ uniform_ normal_ random_",
    join: "split chunk unbind",
    linalg: "det inverse logdet matrix_power slogdet",
    factorize: "cholesky",
    matmul: "matmul mm bmm mv dot",
    order: "argsort kthvalue median sort take_along_dim topk",
    peak: "max min amax amin argmax argmin",
    pointwise: "neg abs exp log log1p sqrt rsqrt reciprocal sin cos tanh sigmoid",
    power: "pow",
    rearrange: (
        "flip fliplr flipud rot90 roll repeat tile repeat_interleave tril triu diagonal diag diag_embed trace"
    ),
    reduce: "sum mean any all var std norm sum_to_size nansum nanmean",
    rounding: "sign floor ceil round trunc",
    scan: "cummax cummin cumprod cumsum diff logcumsumexp prod",
    scatter: "scatter scatter_add index_put index_add index_copy index_fill masked_scatter",
    shape: "reshape flatten permute transpose t unsqueeze squeeze expand clone contiguous",
    softmax: "softmax log_softmax logsumexp",
    sparse: "coalesce to_dense to_sparse values indices is_coalesced sparse_dim dense_dim",
    special: "erf erfc lgamma digamma",
    trigonometry: (
        "tan asin acos atan sinh cosh asinh acosh atanh atan2 hypot arcsin arccos arctan arcsinh arccosh arctanh arctan2"
    ),
}

OTHERS: dict[str, Any] = {
    "to": to,
    "cpu": cpu,
    "cuda": cuda,
    "type": type_,
    "float": converter(float32),
    "double": converter(float64),
    "long": converter(int64),
    "int": converter(int32),
    "bool": converter(bool_),
    "detach_": detach_,
    "view": view,
    "view_as": view_as,
    "expand_as": expand_as,
    "reshape_as": view_as,
    "clip": choose.clamp,
    "clip_": in_place("clip_", choose.clamp),
    "__ifloordiv__": in_place("__ifloordiv__", arithmetic.floor_divide),
    "__ipow__": in_place("__ipow__", power.pow),
    "__imod__": in_place("__imod__", arithmetic.remainder),
    "where": where,
    "polygamma": lambda x, n: special.polygamma(n, x),
    "absolute": pointwise.abs,
    "unfold": unfold.unfold_dimension,
    "_indices": sparse.plain_indices,
    "_values": sparse.plain_values,
    "_nnz": sparse.n_places,
    "T": property(shape.t, no_setting),
    "mT": property(matrix_transpose, no_setting),
    "new_tensor": new_tensor,
    "new_full": new_full,
    "new_zeros": new_zeros,
    "new_ones": new_ones,
}


def bind() -> None:
    """Give Tensor its operators and methods."""
    for name, method in OPERATORS.items():
        setattr(Tensor, name, method)
    for module, names in SAME_NAME.items():
        for name in names.split():
            setattr(Tensor, name, getattr(module, name))
    for name, method in (forms() | OTHERS | queries.METHODS).items():
        setattr(Tensor, name, method)


bind()
