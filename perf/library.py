"""The framework of a side under one set of names, so that one program text serves nbgrad and torch."""

import importlib
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
        self.package = importlib.import_module(framework)
        if framework == "torch":
            self.package.set_num_threads(
                1
            )  # MKL's and OpenMP's pools; NumPy's is set by the environment

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        room = ROOMS.get(name)
        found = (
            importlib.import_module(room[self.framework]) if room else getattr(self.package, name)
        )
        setattr(self, name, found)
        return found

    def versions(self):
        """Versions of the interpreter and of what can shift a figure."""
        found = {"python": platform.python_version()}
        for name in ("numpy", "numba", self.framework):
            try:
                found[name] = metadata.version(name)
            except metadata.PackageNotFoundError:
                found[name] = (
                    str(getattr(self.package, "__version__", None))
                    if name == self.framework
                    else None
                )
        return {name: version for name, version in found.items() if version}
