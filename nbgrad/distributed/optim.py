"""`torch.distributed.optim`'s name for the distributed optimizer."""

from nbgrad.optim import DistributedOptimizer

__all__ = ["DistributedOptimizer"]
