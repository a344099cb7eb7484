"""State dicts: the parameters and buffers of a module as a flat dict, out and back in."""

from collections import OrderedDict
from typing import Any, NamedTuple

import numpy as np

from nbgrad.autograd import Tensor
from nbgrad.autograd.buffers import writable
from nbgrad.errors import ShapeError


class LoadResult(NamedTuple):
    """Names that the module has and the dict had not, and the reverse."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return (
            f"LoadResult(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"
        )


def members(module: Any, prefix: str = "") -> "OrderedDict[str, Tensor]":
    """The tensors themselves, under dotted names, in PyTorch's order."""
    found: OrderedDict[str, Tensor] = OrderedDict()
    for name, parameter in module._parameters.items():
        if parameter is not None:
            found[prefix + name] = parameter
    for name, buffer in module._buffers.items():
        if buffer is not None and name not in module._not_saved:
            found[prefix + name] = buffer
    for name, child in module._modules.items():
        if child is not None:
            found.update(members(child, f"{prefix}{name}."))
    return found


def state_of(module: Any, prefix: str = "") -> "OrderedDict[str, Tensor]":
    """Detached tensors under dotted names."""
    return OrderedDict((name, x.detach()) for name, x in members(module, prefix).items())


def load_into(module: Any, state: Any, strict: bool) -> LoadResult:
    """Copy a state dict into a module, or raise and change nothing."""
    own = members(module)
    missing = [name for name in own if name not in state]
    unexpected = [name for name in state if name not in own]
    faults = []
    if strict and unexpected:
        faults.append("Unexpected key(s) in state_dict: " + ", ".join(map(repr, unexpected)))
    if strict and missing:
        faults.append("Missing key(s) in state_dict: " + ", ".join(map(repr, missing)))
    values = {name: np.asarray(array_of(state[name])) for name in own if name in state}
    for name, value in values.items():
        if value.shape != own[name].array.shape:
            faults.append(
                f"size mismatch for {name}: copying a param with shape {value.shape} from checkpoint, the shape in "
                f"current model is {own[name].array.shape}"
            )
    if faults:
        raise ShapeError(
            f"Error(s) in loading state_dict for {type(module).__name__}, nothing was changed:\n\t"
            + "\n\t".join(faults)
        )
    for name, value in values.items():
        np.copyto(writable(own[name]), value, casting="unsafe")
    return LoadResult(missing, unexpected)


def array_of(value: Any) -> Any:
    return value.array if isinstance(value, Tensor) else value
