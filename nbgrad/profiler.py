"""`nbgrad.profiler`, also `nbgrad.autograd.profiler`: PyTorch's names for `nbgrad.profile`."""

from nbgrad.profile import *  # noqa: F403
from nbgrad.profile import __all__ as __all__
