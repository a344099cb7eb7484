"""`nbgrad.cuda`: `torch.cuda`'s name for the questions that have an answer without a GPU."""

from nbgrad.autograd.cuda import (
    current_device,
    device_count,
    empty_cache,
    is_available,
    is_initialized,
    manual_seed,
    manual_seed_all,
    set_device,
    synchronize,
)

__all__ = [
    "current_device",
    "device_count",
    "empty_cache",
    "is_available",
    "is_initialized",
    "manual_seed",
    "manual_seed_all",
    "set_device",
    "synchronize",
]
