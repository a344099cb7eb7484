"""`torch.distributed.nn`'s name for remote modules, and for collectives that gradients flow through."""

from nbgrad.distributed.nn import api, functional
from nbgrad.nn.remote_module import RemoteModule

__all__ = ["RemoteModule", "api", "functional"]
