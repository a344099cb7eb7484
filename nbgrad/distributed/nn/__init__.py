"""`torch.distributed.nn`'s name for remote modules."""

from nbgrad.nn.remote_module import RemoteModule

__all__ = ["RemoteModule"]
