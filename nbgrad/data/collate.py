"""How the items of a batch are put together."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from nbgrad.autograd import Tensor
from nbgrad.errors import DtypeError
from nbgrad.ops import as_tensor, stack, tensor


def default_collate(batch: list) -> Any:
    """Items of a data set as one batch: tensors, arrays and numbers are stacked, containers go through.

    Raises
    ------
    DtypeError
        If an item is something else.

    Examples
    --------
    >>> from nbgrad.utils.data import default_collate
    >>> default_collate([(1.0, "a"), (2.0, "b")])
    [tensor([1., 2.]), ('a', 'b')]
    """
    first = batch[0]
    if isinstance(first, Tensor):
        return stack(batch)
    if isinstance(first, np.ndarray):
        return stack([as_tensor(item) for item in batch])
    if isinstance(first, bool | int | float | np.generic):
        return tensor(np.asarray(batch) if isinstance(first, np.generic) else batch)
    if isinstance(first, str | bytes):
        return tuple(batch)
    if isinstance(first, Mapping):
        return {key: default_collate([item[key] for item in batch]) for key in first}
    if isinstance(first, tuple | list):
        if len({len(item) for item in batch}) > 1:
            raise DtypeError(
                "each element in list of batch should be of equal size: give DataLoader a collate_fn= that pads them"
            )
        parts = [default_collate(list(part)) for part in zip(*batch, strict=True)]
        return type(first)(*parts) if hasattr(first, "_fields") else parts
    raise DtypeError(
        f"default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {type(first).__name__}; "
        f"give DataLoader a collate_fn="
    )


def as_it_is(item: Any) -> Any:
    """A single item, arrays as tensors."""
    return as_tensor(item) if isinstance(item, np.ndarray) else item
