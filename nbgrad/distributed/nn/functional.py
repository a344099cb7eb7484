"""`torch.distributed.nn.functional`'s name for collectives that gradients flow through."""

from nbgrad.collectives.functional import *  # noqa: F403
from nbgrad.collectives.functional import __all__ as __all__
