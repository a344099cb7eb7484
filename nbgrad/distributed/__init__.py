"""`nbgrad.distributed`: the names of `torch.distributed` for rooms of nbgrad."""

from nbgrad.dist_autograd import is_available
from nbgrad.distributed import autograd, nn, optim, rpc

__all__ = ["autograd", "is_available", "nn", "optim", "rpc"]
