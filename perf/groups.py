"""A side that is a group: workers of which worker0 measures and the others answer."""

import gc
import importlib

from library import Library
from sides import serve


def worker(rank, framework, module, figures, world):
    lib = Library(framework)
    lib.rpc.init_rpc(f"worker{rank}", rank=rank, world_size=world)
    if rank == 0:
        serve(getattr(importlib.import_module(module), figures), lib)
    else:
        gc.disable()  # it runs inside worker0's blocks
    lib.rpc.shutdown()


def group_side(module, figures="FIGURES", world=2):
    """`run_side` of a script: a group whose worker0 measures the list `figures` of a module of this folder."""

    def run_side(framework):
        spawn = Library(framework).multiprocessing.spawn
        spawn(worker, args=(framework, module, figures, world), nprocs=world)

    return run_side
