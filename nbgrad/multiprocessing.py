"""`nbgrad.multiprocessing`: the names of Python's `multiprocessing`, and `spawn`.

>>> import math
>>> import nbgrad.multiprocessing as mp
>>> mp.spawn(math.pow, args=(2.0,), nprocs=2)
"""

from multiprocessing import *  # noqa: F403 - the same names, as PyTorch does
from multiprocessing import __all__ as _names

from nbgrad.errors import ProcessException, ProcessExitedException, ProcessRaisedException
from nbgrad.group import (
    ProcessContext,
    get_all_sharing_strategies,
    get_sharing_strategy,
    set_sharing_strategy,
    spawn,
)

SpawnContext = ProcessContext
start_processes = spawn

__all__ = [  # noqa: PLE0604
    *_names,
    "ProcessContext",
    "ProcessException",
    "ProcessExitedException",
    "ProcessRaisedException",
    "SpawnContext",
    "get_all_sharing_strategies",
    "get_sharing_strategy",
    "set_sharing_strategy",
    "spawn",
    "start_processes",
]
