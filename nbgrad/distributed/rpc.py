"""`torch.distributed.rpc`'s name for `nbgrad.rpc`."""

from nbgrad.rpc import *  # noqa: F403
from nbgrad.rpc import __all__ as __all__
