"""`torch.distributed.nn.api.remote_module`'s name for remote modules."""

from nbgrad.nn.remote_module import *  # noqa: F403
from nbgrad.nn.remote_module import __all__ as __all__
