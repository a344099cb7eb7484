"""Module: parameters, buffers and other modules under names."""

import itertools
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from nbgrad.autograd import Parameter, Tensor
from nbgrad.autograd.device import check_device
from nbgrad.autograd.dtypes import as_dtype, float32, float64, is_floating
from nbgrad.autograd.hooks import RemovableHandle
from nbgrad.errors import DtypeError, ShapeError
from nbgrad.nn.state import load_into, state_of


class Module:
    """Base of all layers and models.

    A subclass creates parameters and other modules as attributes in `__init__`, after
    `super().__init__()`, and computes in `forward`.  Attributes are registered by their type.

    Examples
    --------
    >>> import nbgrad as nb
    >>> from nbgrad import nn
    >>> class Net(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.layer = nn.Linear(2, 1)
    ...     def forward(self, x):
    ...         return self.layer(x).relu()
    >>> net = Net()
    >>> [name for name, _ in net.named_parameters()]
    ['layer.weight', 'layer.bias']
    >>> net(nb.zeros(3, 2)).shape
    Size([3, 1])
    """

    training: bool

    def __init__(self) -> None:
        # Written past __setattr__, which needs them.
        own = self.__dict__
        own["training"] = True
        own["_parameters"] = {}
        own["_buffers"] = {}
        own["_not_saved"] = set()
        own["_modules"] = {}
        own["_forward_hooks"] = OrderedDict()
        own["_forward_pre_hooks"] = OrderedDict()

    # ------------------------------------------------------------ attributes

    def __setattr__(self, name: str, value: Any) -> None:
        own = self.__dict__
        if isinstance(value, Parameter):
            self.need_init(name)
            self.forget(name)
            own["_parameters"][name] = value
        elif isinstance(value, Module):
            self.need_init(name)
            self.forget(name)
            own["_modules"][name] = value
        elif "_parameters" in own and name in own["_parameters"]:
            if value is not None:
                raise DtypeError(
                    f"cannot assign {type(value).__name__!r} as parameter {name!r} (nn.Parameter or None expected); to "
                    f"change its values use `with nb.no_grad(): module.{name}.copy_(...)`"
                )
            own["_parameters"][name] = None
        elif "_modules" in own and name in own["_modules"] and value is None:
            own["_modules"][name] = None
        elif "_buffers" in own and name in own["_buffers"]:
            if value is not None and not isinstance(value, Tensor):
                raise DtypeError(
                    f"cannot assign {type(value).__name__!r} as buffer {name!r} (Tensor or None expected)"
                )
            own["_buffers"][name] = value
        else:
            object.__setattr__(self, name, value)

    def need_init(self, name: str) -> None:
        if "_parameters" not in self.__dict__:
            raise AttributeError(
                f"cannot assign {name!r} before Module.__init__() call: call super().__init__() first"
            )

    def forget(self, name: str) -> None:
        self.__dict__.pop(name, None)
        for kind in ("_parameters", "_buffers", "_modules"):
            self.__dict__[kind].pop(name, None)

    def __getattr__(self, name: str) -> Any:
        # Only called when the usual look-up found nothing.
        own = self.__dict__
        for kind in ("_parameters", "_buffers", "_modules"):
            if kind in own and name in own[kind]:
                return own[kind][name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __delattr__(self, name: str) -> None:
        own = self.__dict__
        for kind in ("_parameters", "_buffers", "_modules"):
            if name in own[kind]:
                del own[kind][name]
                return
        object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        own = self.__dict__
        names = [*own["_parameters"], *own["_buffers"], *own["_modules"]]
        return sorted({*object.__dir__(self), *names})

    def register_parameter(self, name: str, parameter: Parameter | None) -> None:
        """Register a parameter, or None to keep the name free of one."""
        self.forget(name)
        self.__dict__["_parameters"][name] = parameter

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Register a tensor that belongs to the state but is not trained (running means, say)."""
        self.forget(name)
        self.__dict__["_buffers"][name] = tensor
        if persistent:
            self.__dict__["_not_saved"].discard(name)
        else:
            self.__dict__["_not_saved"].add(name)

    def add_module(self, name: str, module: "Module | None") -> None:
        """Register a module under a name that need not be an identifier."""
        self.forget(name)
        self.__dict__["_modules"][name] = module

    register_module = add_module

    def get_submodule(self, target: str) -> "Module":
        """The module under a dotted name; "" is this one."""
        module = self
        for part in target.split(".") if target else []:
            module = getattr(module, part)
        return module

    def get_parameter(self, target: str) -> Parameter:
        """The parameter under a dotted name."""
        path, _, name = target.rpartition(".")
        return getattr(self.get_submodule(path), name)

    # ------------------------------------------------------------ calling

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the result; subclasses define it."""
        raise NotImplementedError(
            f'Module [{type(self).__name__}] is missing the required "forward" function'
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        own = self.__dict__
        if not own["_forward_hooks"] and not own["_forward_pre_hooks"]:
            return self.forward(*args, **kwargs)
        for hook in tuple(own["_forward_pre_hooks"].values()):
            changed = hook(self, args)
            if changed is not None:
                args = changed if isinstance(changed, tuple) else (changed,)
        result = self.forward(*args, **kwargs)
        for hook in tuple(own["_forward_hooks"].values()):
            changed = hook(self, args, result)
            if changed is not None:
                result = changed
        return result

    def register_forward_hook(self, hook: Callable) -> RemovableHandle:
        """Call `hook(module, args, result)` after each forward; what it returns, if not None, is the result."""
        return registered(self.__dict__["_forward_hooks"], hook)

    def register_forward_pre_hook(self, hook: Callable) -> RemovableHandle:
        """Call `hook(module, args)` before each forward; what it returns, if not None, are the arguments."""
        return registered(self.__dict__["_forward_pre_hooks"], hook)

    # ------------------------------------------------------------ walking

    def named_children(self) -> Iterator[tuple[str, "Module"]]:
        """The modules directly below, with their names; each once."""
        seen = set()
        for name, module in self.__dict__["_modules"].items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self) -> Iterator["Module"]:
        """The modules directly below."""
        return (module for _, module in self.named_children())

    def named_modules(
        self, memo: set | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, "Module"]]:
        """This module and all below, with dotted names."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self.__dict__["_modules"].items():
            if module is not None:
                yield from module.named_modules(memo, join(prefix, name), remove_duplicate)

    def modules(self) -> Iterator["Module"]:
        """This module and all below."""
        return (module for _, module in self.named_modules())

    def named_members(self, kind: str, prefix: str, recurse: bool) -> Iterator[tuple[str, Any]]:
        seen = set()
        modules = self.named_modules(prefix=prefix) if recurse else [(prefix, self)]
        for path, module in modules:
            for name, member in module.__dict__[kind].items():
                if member is not None and id(member) not in seen:
                    seen.add(id(member))
                    yield join(path, name), member

    def named_parameters(
        self, prefix: str = "", recurse: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """All parameters with dotted names; one that is used twice appears once."""
        return self.named_members("_parameters", prefix, recurse)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """All parameters, in the order of registration."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(self, prefix: str = "", recurse: bool = True) -> Iterator[tuple[str, Tensor]]:
        """All buffers with dotted names."""
        return self.named_members("_buffers", prefix, recurse)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """All buffers."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def apply(self, function: Callable[["Module"], Any]) -> "Module":
        """Call a function on every module below and then on this one; returns this module."""
        for module in self.children():
            module.apply(function)
        function(self)
        return self

    # ------------------------------------------------------------ modes and conversion

    def train(self, mode: bool = True) -> "Module":
        """Set training mode here and below (dropout is active in it); returns this module."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for module in self.children():
            module.train(mode)  # so that a class with its own `train` has it called
        return self

    def eval(self) -> "Module":
        """Set evaluation mode: `train(False)`."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> "Module":
        """Set for all parameters whether gradients flow into them."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or set them to zero."""
        for parameter in self.parameters():
            if set_to_none:
                parameter.grad = None
            elif parameter.grad is not None:
                data: Any = parameter.grad.array
                zeros = data.only(slice(0)) if parameter.grad.is_sparse else np.zeros_like(data)
                parameter.grad = Tensor(zeros)

    def to(self, *args: Any, dtype: Any = None, device: Any = None) -> "Module":
        """Convert floating-point parameters and buffers, in place; a device changes nothing."""
        for arg in args:
            if isinstance(arg, Tensor):
                dtype = arg.array.dtype
            elif isinstance(arg, str) and arg.startswith(("cpu", "cuda")):
                device = arg
            elif isinstance(arg, np.dtype | type):
                dtype = arg
        check_device(device)
        if dtype is not None:
            wanted = as_dtype(dtype)
            if not is_floating(wanted):
                raise DtypeError(f"nn.Module.to only accepts floating point dtypes, got {wanted}")
            tensors = itertools.chain(self.parameters(), self.buffers())
            for tensor in tensors:
                if is_floating(tensor.array.dtype):
                    tensor.array = tensor.array.astype(wanted, copy=False)
                    tensor.grad = None
        return self

    def float(self) -> "Module":
        """All floating-point parameters and buffers as float32."""
        return self.to(float32)

    def double(self) -> "Module":
        """All floating-point parameters and buffers as float64."""
        return self.to(float64)

    def cpu(self) -> "Module":
        """This module: everything is on the CPU."""
        return self

    def cuda(self, device: Any = None) -> "Module":
        """Refused: there is no GPU here."""
        check_device("cuda")
        return self

    # ------------------------------------------------------------ state

    def state_dict(self, prefix: str = "") -> "OrderedDict[str, Tensor]":
        """Parameters and persistent buffers under dotted names; memory is shared with the module."""
        return state_of(self, prefix)

    def load_state_dict(self, state_dict: Any, strict: bool = True) -> Any:
        """Copy values from a state dict into parameters and buffers.

        Parameters
        ----------
        state_dict : dict of str to Tensor
            As `state_dict()` returns it.
        strict : bool
            Whether missing and unexpected names are errors.

        Returns
        -------
        (missing_keys, unexpected_keys)

        Raises
        ------
        ShapeError
            If names (when strict) or shapes do not match; nothing is changed then.
        """
        return load_into(self, state_dict, strict)

    # ------------------------------------------------------------ printing

    def extra_repr(self) -> str:
        """What stands in the parentheses."""
        return ""

    def __repr__(self) -> str:
        lines = [line for line in self.extra_repr().split("\n") if line]
        children = [
            f"({name}): " + repr(module).replace("\n", "\n  ")
            for name, module in self.__dict__["_modules"].items()
        ]
        if not children:
            return f"{type(self).__name__}({', '.join(lines)})"
        return f"{type(self).__name__}(\n  " + "\n  ".join([*lines, *children]) + "\n)"


def registered(hooks: dict, hook: Callable) -> RemovableHandle:
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    return handle


def join(prefix: str, name: str) -> str:
    """'layer' and 'weight' make 'layer.weight'."""
    return f"{prefix}.{name}" if prefix else name


def check_positive(name: str, **numbers: int) -> None:
    """Refuse sizes below 0."""
    for what, n in numbers.items():
        if n < 0:
            raise ShapeError(f"{name}: {what} can't be negative, got {n}")
