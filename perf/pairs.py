"""A side that is a process group of two: both members run each block, worker0 measures, and tells worker1 which one.

worker0                                       worker1
broadcast (figure, count)              ──►
figure.setup(lib)(count)               ◄─►    figure.setup(lib)(count)      the same collectives on both
"""

import dataclasses
import gc
import importlib

from library import Library
from sides import serve

END = -1  # instead of a figure: there is nothing more to do


def pair_side(module, figures="FIGURES"):
    """`run_side` of a script: a process group whose two members run the list `figures` of a module of this folder."""

    def run_side(framework):
        spawn = Library(framework).multiprocessing.spawn
        spawn(worker, args=(framework, module, figures), nprocs=2)

    return run_side


def worker(rank, framework, module, figures):
    lib = Library(framework)
    lib.dist.init_process_group("gloo", rank=rank, world_size=2)
    measured = getattr(importlib.import_module(module), figures)
    if rank == 0:
        serve([leading(number, figure) for number, figure in enumerate(measured)], lib)
        order(lib, END, 0)
    else:
        gc.disable()  # worker1 runs inside worker0's blocks
        follow(lib, measured)
    lib.dist.destroy_process_group()


def order(lib, number, count):
    """What both do next."""
    words = lib.tensor([number, count])
    lib.dist.broadcast(words, 0)
    return words.tolist()


def leading(number, figure):
    """The figure for worker0: each block begins on both."""

    def setup(lib):
        block = figure.setup(lib)

        def run(count):
            order(lib, number, count)
            return block(count)

        return run

    return dataclasses.replace(figure, setup=setup)


def follow(lib, figures):
    """Worker1: the same blocks."""
    blocks = {}
    while True:
        number, count = order(lib, END, 0)
        if number == END:
            return
        if number not in blocks:
            blocks[number] = figures[number].setup(lib)
        blocks[number](count)
