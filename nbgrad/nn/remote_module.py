"""RemoteModule: a module that lives on another worker, used like a local one."""

from typing import Any

from nbgrad import rpc
from nbgrad.nn.module import Module
from nbgrad.rpc import Future, RRef

UNSUPPORTED = {
    "add_module",
    "apply",
    "buffers",
    "children",
    "cpu",
    "cuda",
    "double",
    "extra_repr",
    "float",
    "half",
    "load_state_dict",
    "modules",
    "named_buffers",
    "named_children",
    "named_modules",
    "named_parameters",
    "parameters",
    "register_backward_hook",
    "register_buffer",
    "register_forward_hook",
    "register_forward_pre_hook",
    "register_parameter",
    "requires_grad_",
    "share_memory",
    "state_dict",
    "to",
    "type",
    "zero_grad",
}


class RemoteModule:
    """A module on another worker, with PyTorch's interface.

    Parameters
    ----------
    remote_device : str
        "worker/cpu", "worker" or "rank:N/cpu".
    module_cls : type
        A `Module` class that the worker can import.
    args, kwargs : optional
        For its constructor.

    Raises
    ------
    ValueError
        If `remote_device` is not of that form, or `module_cls` is not a module class.

    Examples
    --------
    On a worker of a group::

        linear = RemoteModule("worker1/cpu", nn.Linear, args=(20, 30))
        y = linear.forward(x)
        optimizer = DistributedOptimizer(optim.SGD, linear.remote_parameters(), lr=0.1)
    """

    def __init__(
        self, remote_device: str, module_cls: type, args: tuple = (), kwargs: dict | None = None
    ):
        if not (isinstance(module_cls, type) and issubclass(module_cls, Module)):
            raise ValueError(f"Expect `module_cls` to be a Module class, but got {module_cls!r}")
        self.on = worker_of(remote_device)
        self.device = "cpu"
        self.is_device_map_set = True
        self.module_rref = rpc.rpc_sync(self.on, make, args=(module_cls, tuple(args), kwargs or {}))

    @staticmethod
    def init_from_module_rref(remote_device: str, module_rref: RRef) -> "RemoteModule":
        """A RemoteModule over a module that is already there."""
        self = RemoteModule.__new__(RemoteModule)
        self.on, self.device, self.is_device_map_set = worker_of(remote_device), "cpu", True
        self.module_rref = module_rref
        return self

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The module's forward, on its worker."""
        return rpc.rpc_sync(self.on, run, args=(self.module_rref, args, kwargs))

    __call__ = forward

    def forward_async(self, *args: Any, **kwargs: Any) -> Future:
        """As `forward`, a future of the result."""
        return rpc.rpc_async(self.on, run, args=(self.module_rref, args, kwargs))

    def remote_parameters(self, recurse: bool = True) -> list[RRef]:
        """References to its parameters, for a DistributedOptimizer."""
        return rpc.rpc_sync(self.on, parameters, args=(self.module_rref, recurse))

    def get_module_rref(self) -> RRef:
        """The reference to the module itself."""
        return self.module_rref

    def train(self, mode: bool = True) -> "RemoteModule":
        """Set training mode there."""
        rpc.rpc_sync(self.on, set_mode, args=(self.module_rref, mode))
        return self

    def eval(self) -> "RemoteModule":
        """Set evaluation mode there."""
        return self.train(False)

    def __getattr__(self, name: str) -> Any:
        if name in UNSUPPORTED:
            raise ValueError(
                f"Method ``{name}`` not supported for RemoteModule: the module lives on another worker"
            )
        raise AttributeError(f"RemoteModule has no attribute {name!r}")


def worker_of(remote_device: str) -> Any:
    """The worker of "worker/device", as a name or rank."""
    name, _, device = str(remote_device).partition("/")
    if not name or device not in ("", "cpu"):
        raise ValueError(
            f"Could not parse remote_device: {remote_device}. The valid format is '<workername>/cpu'"
        )
    return int(name.removeprefix("rank:")) if name.startswith("rank:") else name


@rpc.register
def make(module_cls: type, args: tuple, kwargs: dict) -> RRef:
    """On the worker: the module."""
    return RRef(module_cls(*args, **kwargs))


@rpc.register
def run(module: RRef, args: tuple, kwargs: dict) -> Any:
    """On the worker: its forward."""
    return module.local_value()(*args, **kwargs)


@rpc.register
def parameters(module: RRef, recurse: bool) -> list[RRef]:
    """On the worker: references to its parameters."""
    found = module.local_value()
    owners = found.parameters() if recurse else found.parameters(recurse=False)
    return [RRef(p) for p in owners]


@rpc.register
def set_mode(module: RRef, mode: bool) -> None:
    """On the worker: training or evaluation."""
    module.local_value().train(mode)
