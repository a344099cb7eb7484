"""`torch.distributed.autograd`'s name for `nbgrad.dist_autograd`."""

from nbgrad.dist_autograd import *  # noqa: F403
from nbgrad.dist_autograd import __all__ as __all__
