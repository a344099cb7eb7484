"""RemoteModule: a module that lives on another worker, used like a local one."""

from collections.abc import Callable
from typing import Any, NoReturn

from nbgrad import rpc
from nbgrad.errors import RpcEncodeError
from nbgrad.nn.module import Module
from nbgrad.rpc import Future, RRef, codec

__all__ = ["_REMOTE_MODULE_PICKLED_ATTRIBUTES", "RemoteModule", "_RemoteModule"]

_REMOTE_MODULE_PICKLED_ATTRIBUTES = (
    "on",
    "device",
    "is_device_map_set",
    "is_scriptable",
    "generated_methods",
    "module_rref",
)  # what travels when a RemoteModule is an argument or a result


class RemoteModule(Module):
    """A module on another worker, with PyTorch's interface.

    Arguments and results of remote calls may contain it.  It has no parameters, buffers or children here, so whatever asks
    for these raises ValueError.

    Parameters
    ----------
    remote_device : str
        "worker/cpu", "worker" or "rank:N/cpu".
    module_cls : callable
        A `Module` class, or a function that returns a module; the worker must be able to import it.
    args, kwargs : optional
        For it.
    _module_interface_cls : optional
        Accepted for PyTorch's sake, where it asks for a scripted module; there are none here.

    Raises
    ------
    ValueError
        If `remote_device` is not of that form, or what `module_cls` makes is no module.

    Examples
    --------
    On a worker of a group::

        linear = RemoteModule("worker1/cpu", nn.Linear, args=(20, 30))
        y = linear.forward(x)
        optimizer = DistributedOptimizer(optim.SGD, linear.remote_parameters(), lr=0.1)
    """

    def __init__(
        self,
        remote_device: str,
        module_cls: Callable[..., Any],
        args: tuple | None = None,
        kwargs: dict | None = None,
        _module_interface_cls: Any = None,
    ):
        super().__init__()
        fill(self, worker_of(remote_device), None)
        made = rpc.rpc_sync(self.on, make, args=(module_cls, tuple(args or ()), kwargs or {}))
        self.module_rref = made

    @staticmethod
    def init_from_module_rref(remote_device: str, module_rref: RRef) -> "RemoteModule":
        """A RemoteModule over a module that is already there."""
        self = RemoteModule.__new__(RemoteModule)
        Module.__init__(self)
        fill(self, worker_of(remote_device), module_rref)
        return self

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The module's forward, on its worker."""
        return rpc.rpc_sync(self.module_rref.owner(), run, args=(self.module_rref, args, kwargs))

    def forward_async(self, *args: Any, **kwargs: Any) -> Future:
        """As `forward`, a future of the result."""
        return rpc.rpc_async(self.module_rref.owner(), run, args=(self.module_rref, args, kwargs))

    def remote_parameters(self, recurse: bool = True) -> list[RRef]:
        """References to its parameters, for a DistributedOptimizer."""
        return rpc.rpc_sync(self.module_rref.owner(), parameters, args=(self.module_rref, recurse))

    def get_module_rref(self) -> RRef:
        """The reference to the module itself."""
        return self.module_rref

    def train(self, mode: bool = True) -> "RemoteModule":
        """Set training mode there."""
        rpc.rpc_sync(self.module_rref.owner(), set_mode, args=(self.module_rref, mode))
        return self

    def eval(self) -> "RemoteModule":
        """Set evaluation mode there."""
        return self.train(False)

    def __repr__(self) -> str:
        return f"RemoteModule(on={self.on!r})"

    def __reduce__(self) -> Any:
        raise RpcEncodeError(
            "Cannot pickle RemoteModule in python pickler. RemoteModule can only be pickled when using RPC"
        )


_RemoteModule = RemoteModule


def fill(module: RemoteModule, on: Any, module_rref: RRef | None) -> None:
    """Set the attributes that travel."""
    module.on, module.device, module.is_device_map_set = on, "cpu", False
    module.is_scriptable, module.generated_methods = False, ()
    module.module_rref: Any = module_rref  # type: ignore[misc]


def refuse(name: str) -> None:
    """Make a method raise that has no meaning far from the module."""

    def refused(self: RemoteModule, *args: Any, **kwargs: Any) -> NoReturn:
        hint = ". Please use ``remote_parameters`` instead." if name == "parameters" else ": "
        if name != "parameters":
            hint += "the module lives on another worker"
        raise ValueError(f"Method ``{name}`` not supported for RemoteModule{hint}")

    refused.__name__ = name
    setattr(RemoteModule, name, refused)


for name in (
    "add_module", "apply", "bfloat16", "buffers", "children", "cpu", "cuda", "double", "extra_repr", "float", "half",
    "ipu", "load_state_dict", "modules", "named_buffers", "named_children", "named_modules", "named_parameters",
    "parameters", "register_backward_hook", "register_buffer", "register_forward_hook", "register_forward_pre_hook",
    "register_parameter", "requires_grad_", "share_memory", "state_dict", "to", "type", "xpu", "zero_grad",
):  # fmt: skip
    refuse(name)


def worker_of(remote_device: str) -> Any:
    """The worker of "worker/device", as a name or rank."""
    name, _, device = str(remote_device).partition("/")
    if not name or device not in ("", "cpu"):
        raise ValueError(
            f"Could not parse remote_device: {remote_device}. The valid format is '<workername>/cpu'"
        )
    return int(name.removeprefix("rank:")) if name.startswith("rank:") else name


def reduce(module: RemoteModule) -> tuple:
    """How a RemoteModule travels: its worker, and a reference, which counts itself."""
    return rebuild, (module.on, module.module_rref)


def rebuild(on: Any, module_rref: RRef) -> RemoteModule:
    self = RemoteModule.__new__(RemoteModule)
    Module.__init__(self)
    fill(self, on, module_rref)
    return self


codec.reducers[RemoteModule] = reduce, lambda module: None, rebuild


@rpc.register
def make(module_cls: Callable[..., Any], args: tuple, kwargs: dict) -> RRef:
    """On the worker: the module."""
    module = module_cls(*args, **kwargs)
    if not isinstance(module, Module):
        raise ValueError(
            f"Expect `module_cls(*args, **kwargs)` returns an instance of <class nn.Module>, but it returns an instance of "
            f"{type(module)}."
        )
    return RRef(module)


@rpc.register
def run(module: RRef, args: tuple, kwargs: dict) -> Any:
    """On the worker: its forward."""
    return module.local_value()(*args, **kwargs)


@rpc.register
def parameters(module: RRef, recurse: bool) -> list[RRef]:
    """On the worker: references to its parameters."""
    return [RRef(p) for p in module.local_value().parameters(recurse=recurse)]


@rpc.register
def set_mode(module: RRef, mode: bool) -> None:
    """On the worker: training or evaluation."""
    module.local_value().train(mode)
