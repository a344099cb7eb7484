"""`nbgrad.distributed`: the names of `torch.distributed` for rooms of nbgrad."""

from nbgrad.distributed import autograd, optim, rpc

__all__ = ["autograd", "is_available", "optim", "rpc"]


def is_available() -> bool:
    """True: there is always a way to form a group on Linux."""
    return True
