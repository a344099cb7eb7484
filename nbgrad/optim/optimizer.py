"""Optimizer: parameter groups, their state, and steps over gradients from anywhere.

`step()` takes the gradients from `.grad`; `step_with(grads)` is given them, as arrays in the order of
the parameters.  A distributed optimizer calls the second: its gradients live in a context.
"""

import copy
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from nbgrad.autograd import Tensor
from nbgrad.autograd.buffers import begin_write, empty, end_write, writable
from nbgrad.autograd.grad_mode import enable_grad
from nbgrad.autograd.outside import OutsideSteps
from nbgrad.autograd.sparse import SparseArray
from nbgrad.autograd.watch import Watch
from nbgrad.errors import DtypeError, ShapeError
from nbgrad.ops.broadcast import contiguous


class Optimizer(OutsideSteps):
    """Base of all optimizers; a subclass defines `update` for one parameter.

    Parameters
    ----------
    params : iterable of Tensor, or of dict
        Leaves to update.  A dict is a group: `"params"` and options of its own.
    defaults : dict
        Options of groups that do not say otherwise.

    Attributes
    ----------
    param_groups : list of dict
        Each with its parameters and options; a changed option counts from the next step.
    state : dict
        Per parameter, a dict of what the optimizer remembers.

    Raises
    ------
    ValueError
        If there are no parameters, one occurs twice, or one is not a leaf.
    DtypeError
        If something is not a tensor.
    """

    def __init__(self, params: Any, defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise DtypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, but got one "
                "Tensor; put it into a list"
            )
        self.defaults = defaults
        self.state: dict[Tensor, dict[str, Any]] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group: `{"params": [...], option: value, ...}`."""
        group = dict(param_group)
        params = group["params"]
        group["params"] = [params] if isinstance(params, Tensor) else list(params)
        known = {id(p) for other in self.param_groups for p in other["params"]}
        for p in group["params"]:
            if not isinstance(p, Tensor):
                raise DtypeError(
                    f"optimizer can only optimize Tensors, but one of the params is {type(p).__name__}"
                )
            if p.node is not None:
                raise ValueError(
                    f"can't optimize a non-leaf Tensor: this one is a result of {p.node.name!r}; give the leaf that "
                    f"it was computed from"
                )
            if id(p) in known:
                raise ValueError(
                    "some parameters appear in more than one place of the optimizer's groups"
                )
            known.add(id(p))
        for name, value in self.defaults.items():
            group.setdefault(name, value)
        self.check(group)
        self.param_groups.append(group)

    def check(self, group: dict[str, Any]) -> None:
        """Refuse options that make no sense."""
        if not group.get("lr", 0.0) >= 0.0:
            raise ValueError(f"Invalid learning rate: {group['lr']}")
        if not group.get("weight_decay", 0.0) >= 0.0:
            raise ValueError(f"Invalid weight_decay value: {group['weight_decay']}")

    def parameters(self) -> list[Tensor]:
        """All parameters, in the order that `step_with` expects."""
        return [p for group in self.param_groups for p in group["params"]]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or set them to zero."""
        for p in self.parameters():
            if set_to_none:
                p.grad = None
            elif p.grad is not None:
                data: Any = p.grad.array
                if p.grad.is_sparse:
                    p.grad.array = data.only(slice(0))
                else:
                    writable(p.grad).fill(0)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update all parameters that have a gradient.

        Parameters
        ----------
        closure : callable, optional
            Computes the loss again and runs backward; called first.

        Returns
        -------
        What the closure returned, or None.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        self.step_with([None if p.grad is None else p.grad.array for p in self.parameters()])
        return loss

    def step_with(
        self, grads: Iterable[Any], elsewhere: Callable[[np.ndarray], bool] = lambda p: False
    ) -> None:
        """Update the parameters with given gradients.

        Parameters
        ----------
        grads : sequence of ndarray, SparseArray or None
            One per parameter, in the order of `parameters()`; None leaves it as it is.
        elsewhere : function of an ndarray
            Whether the new values of a parameter are to be written elsewhere, not over the old ones: graphs that were
            recorded before keep the values that they saw.  Not asked where the gradient is sparse.

        Raises
        ------
        ShapeError
            If their number or a shape is wrong; nothing is changed then.
        DtypeError
            If a dtype is wrong, or a gradient sparse that can't be; nothing is changed then.
        """
        grads = list(grads)
        params = self.parameters()
        if len(grads) != len(params):
            raise ShapeError(
                f"step_with needs one gradient (or None) per parameter: got {len(grads)} for {len(params)} parameters"
            )
        groups = [group for group in self.param_groups for _ in group["params"]]
        for number, (group, p, g) in enumerate(zip(groups, params, grads)):
            if g is not None:
                self.check_layout(group, isinstance(g, SparseArray))
            if g is not None and g.shape != p.array.shape:
                raise ShapeError(
                    f"the gradient of parameter {number} has shape {g.shape}, the parameter {p.array.shape}"
                )
            if g is not None and g.dtype != p.array.dtype:
                raise DtypeError(
                    f"the gradient of parameter {number} is {g.dtype}, the parameter {p.array.dtype}"
                )
        record = Watch.record
        start_ns = time.perf_counter_ns() if record is not None else 0
        for group, p, g in zip(groups, params, grads):
            if g is not None:
                self.step_one(group, p, g, elsewhere)
        if record is not None:
            name = type(self).__name__
            record("user", f"Optimizer.step#{name}.step", start_ns)

    def step_one(
        self,
        group: dict[str, Any],
        p: Tensor,
        g: Any,
        elsewhere: Callable[[np.ndarray], bool] = lambda p: False,
    ) -> None:
        """Update one parameter, whatever the layout of its memory."""
        state = self.state[p]
        if not isinstance(g, SparseArray):
            g = contiguous(g)
            if elsewhere(p.array):
                fresh = empty(p.array.shape, p.array.dtype)
                np.copyto(fresh, p.array)
                self.update(group, state, fresh, g)
                p.array = fresh  # whole, for whoever looks now
                return
        array = begin_write(p, type(self).__name__)
        try:
            if array.flags.c_contiguous:
                self.update(group, state, array, g)
            else:  # a transposed weight, say: kernels want elements in order
                ordered = array.copy()
                self.update(group, state, ordered, g)
                np.copyto(array, ordered)
        finally:
            end_write(array)

    def check_layout(self, group: dict[str, Any], is_sparse: bool) -> None:
        """Refuse gradients that `update` can't apply; sparse ones, where a subclass does not say otherwise."""
        if is_sparse:
            raise DtypeError(
                f"{type(self).__name__} does not support sparse gradients, please consider SparseAdam instead, or make the "
                f"gradients dense: Embedding(..., sparse=False)"
            )

    def update(self, group: dict[str, Any], state: dict[str, Any], p: np.ndarray, g: Any) -> None:
        """Change the array `p` in place; it and a dense `g` are C-contiguous."""
        raise NotImplementedError

    # ------------------------------------------------------------ state

    def state_dict(self) -> dict[str, Any]:
        """State and options, with parameters named by their number.

        Arrays are shared with the optimizer; copy or save them before the next step.
        """
        number = {p: k for k, p in enumerate(self.parameters())}
        return {
            "state": {number[p]: dict(state) for p, state in self.state.items()},
            "param_groups": [
                {**group, "params": [number[p] for p in group["params"]]}
                for group in self.param_groups
            ],
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a state that `state_dict()` returned; arrays are copied.

        Raises
        ------
        ValueError
            If the groups have other sizes.
        """
        groups = state_dict["param_groups"]
        theirs = [len(group["params"]) for group in groups]
        ours = [len(group["params"]) for group in self.param_groups]
        if theirs != ours:
            raise ValueError(
                f"loaded state dict has a different number of parameter groups, or groups of other sizes: {theirs} "
                f"in the dict, {ours} here"
            )
        numbers = [k for group in groups for k in group["params"]]
        by_number = dict(zip(numbers, self.parameters()))
        for own, group in zip(self.param_groups, groups):
            own.update({name: value for name, value in group.items() if name != "params"})
        self.state = defaultdict(dict)
        for number, state in state_dict["state"].items():
            p = by_number[int(number)]
            self.state[p] = {name: copied(value, p) for name, value in state.items()}

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for number, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {number}")
            lines += [f"    {name}: {group[name]}" for name in sorted(group) if name != "params"]
        return "\n".join([*lines, ")"])


def copied(value: Any, p: Tensor) -> Any:
    """A tensor of the state, in its parameter's dtype; other things as they are."""
    if isinstance(value, Tensor):
        return Tensor(np.array(value.array, dtype=p.array.dtype, order="C"))
    return copy.deepcopy(value)


def zeros_for(p: np.ndarray) -> Tensor:
    """A tensor of the state, at its start."""
    return Tensor(np.zeros(p.shape, p.dtype))
