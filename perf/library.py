"""The framework of a side under one set of names, so that one program text serves nbgrad and torch.

"torch.compile" is torch whose captured steps go through it.  "jax" has other names for everything: what is compared with
it has steps of its own in jax_steps.py.
"""

import importlib
import os
import platform
from importlib import metadata

ROOMS = {
    "multiprocessing": {"torch": "torch.multiprocessing", "nbgrad": "nbgrad.multiprocessing"},
    "rpc": {"torch": "torch.distributed.rpc", "nbgrad": "nbgrad.rpc"},
    "dist": {"torch": "torch.distributed", "nbgrad": "nbgrad.distributed"},
    "dist_autograd": {"torch": "torch.distributed.autograd", "nbgrad": "nbgrad.dist_autograd"},
    "nn": {"torch": "torch.nn", "nbgrad": "nbgrad.nn"},
    "functional": {"torch": "torch.nn.functional", "nbgrad": "nbgrad.nn.functional"},
    "optim": {"torch": "torch.optim", "nbgrad": "nbgrad.optim"},
}


class Library:
    """`lib.tensor`, `lib.rpc.rpc_sync`, `lib.dist_autograd.backward`: names of `framework`, imported at first use."""

    def __init__(self, framework):
        self.framework = framework
        self.name = framework.partition(".")[0]
        if self.name == "jax":  # one thread, as the others
            os.environ["NPROC"] = "1"
            os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
        self.package = importlib.import_module(self.name)
        if self.name == "torch":
            self.package.set_num_threads(
                1
            )  # MKL's and OpenMP's pools; NumPy's is set by the environment

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        room = ROOMS.get(name)
        found = importlib.import_module(room[self.name]) if room else getattr(self.package, name)
        setattr(self, name, found)
        return found

    def captured(self, step):
        """The step by `nb.compile` or `torch.compile`; itself for eager torch."""
        return step if self.framework == "torch" else self.package.compile(step)

    def versions(self):
        """Versions of the interpreter and of what can shift a figure."""
        found = {"python": platform.python_version()}
        for name in ("numpy", "numba", self.name):
            try:
                found[name] = metadata.version(name)
            except metadata.PackageNotFoundError:
                found[name] = (
                    str(getattr(self.package, "__version__", None)) if name == self.name else None
                )
        return {name: version for name, version in found.items() if version}
