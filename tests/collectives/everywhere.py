"""Run a function in all workers of a group at once, inside of a process group; beside RPC, whose session it shares.

def sums(rank, world, n): ...            group3.call(everywhere, sums, 5)     values of all ranks
"""

import nbgrad.distributed as dist
from nbgrad import rpc
from nbgrad.rpc import state

TIMEOUT_S = 15.0  # a collective of a test


def inside(function, rank, world, args):
    """What one worker does."""
    dist.init_process_group("gloo", rank=rank, world_size=world, timeout=TIMEOUT_S)
    try:
        return function(rank, world, *args)
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def everywhere(function, *args):
    """Runs in worker 0: values of `function(rank, world, *args)`, by rank; the first error is raised."""
    world = state.agent().world
    futures = [
        rpc.rpc_async(rank, inside, (function, rank, world, args)) for rank in range(1, world)
    ]
    try:
        own = inside(function, 0, world, args)
    finally:
        others = [future.wait() for future in futures]
    return [own, *others]


def error_of(function, *args, **kwargs):
    """(class name, text) of what the function raises, or None."""
    try:
        function(*args, **kwargs)
    except Exception as error:
        return type(error).__name__, str(error)
    return None
