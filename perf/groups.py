"""A side that is a group: two workers, of which worker0 measures and worker1 answers."""

import gc
import importlib

from library import Library
from sides import serve


def worker(rank, framework, module, figures):
    lib = Library(framework)
    lib.rpc.init_rpc(f"worker{rank}", rank=rank, world_size=2)
    if rank == 0:
        serve(getattr(importlib.import_module(module), figures), lib)
    else:
        gc.disable()  # worker1 runs inside worker0's blocks
    lib.rpc.shutdown()


def group_side(module, figures="FIGURES"):
    """`run_side` of a script: a group whose worker0 measures the list `figures` of a module of this folder."""

    def run_side(framework):
        spawn = Library(framework).multiprocessing.spawn
        spawn(worker, args=(framework, module, figures), nprocs=2)

    return run_side
