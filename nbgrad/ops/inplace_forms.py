"""The in-place form of an operation: the same with `_` at the end, x.exp_() of x.exp().

The result is computed as by the operation itself and written into the tensor's memory, recorded where gradients flow.
"""

from typing import Any

from nbgrad.autograd.tensor import Tensor
from nbgrad.ops import (
    activation,
    arithmetic,
    choose,
    combine,
    compare,
    exponential,
    index,
    pointwise,
    power,
    rearrange,
    rounding,
    scatter,
    shape,
    special,
    trigonometry,
)
from nbgrad.ops.overwrite import is_recorded, rebase, take

OPERATIONS: dict[Any, str] = {
    activation: "relu",
    arithmetic: "floor_divide remainder",
    choose: "clamp",
    combine: "lerp addcmul addcdiv addmm addmv addr addbmm baddbmm",
    compare: "eq ne lt le gt ge logical_and logical_or logical_xor logical_not bitwise_and bitwise_or bitwise_xor bitwise_not",
    exponential: "exp2 expm1 log2 log10 logit square sinc xlogy",
    index: "masked_fill",
    pointwise: "neg abs exp log log1p sqrt rsqrt reciprocal sin cos tanh sigmoid",
    power: "pow",
    rearrange: "tril triu",
    rounding: "sign floor ceil round",
    scatter: "scatter scatter_add index_put index_add index_copy index_fill masked_scatter",
    special: "erf erfc lgamma digamma",
    trigonometry: "tan asin acos atan sinh cosh asinh acosh atanh atan2",
}
SHAPES: dict[Any, str] = {shape: "t transpose unsqueeze squeeze"}


def in_place(name: str, operation: Any) -> Any:
    """The method `name` that computes an operation and keeps the memory of its tensor."""

    def method(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        recorded = is_recorded(x, *args, *kwargs.values())
        return take(x, operation(x, *args, **kwargs), name, recorded)

    return named(method, name, operation)


def of_shape(name: str, operation: Any) -> Any:
    """The method `name` that shows the same memory in another shape."""

    def method(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        recorded = is_recorded(x)
        z = operation(x, *args, **kwargs)
        x.array = z.array
        if recorded:
            rebase(x, z)
        return x

    return named(method, name, operation)


def named(method: Any, name: str, operation: Any) -> Any:
    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"`{operation.__name__}`, in place."
    return method


def forms() -> dict[str, Any]:
    """All in-place methods that have no function of their own, by name."""
    found = {}
    for make, table in ((in_place, OPERATIONS), (of_shape, SHAPES)):
        for module, names in table.items():
            for name in names.split():
                found[f"{name}_"] = make(f"{name}_", getattr(module, name))
    return found
