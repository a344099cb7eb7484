"""`torch.distributed.rpc`'s name for `nbgrad.rpc`, and its modules under the same names."""

import sys as _sys

from nbgrad.rpc import *  # noqa: F403
from nbgrad.rpc import __all__ as _names
from nbgrad.rpc import api, backend_registry, constants, functions, internal, options

__all__ = [*_names, "api"]  # noqa: PLE0604

# `from nbgrad.distributed.rpc.api import ...` finds the module itself, so that what is set in it has its effect
for _module in (api, backend_registry, constants, functions, internal, options):
    _sys.modules[f"{__name__}.{_module.__name__.rpartition('.')[2]}"] = _module
