"""`torch.distributed.nn.api`'s name for the room of remote modules."""

from nbgrad.distributed.nn.api import remote_module

__all__ = ["remote_module"]
