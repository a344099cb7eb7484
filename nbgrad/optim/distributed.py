"""DistributedOptimizer: one local optimizer per worker that owns parameters, stepped by one call each.

trainer                              each owner
step(context_id) ── one call ──►     gradients of that context, one native pass per parameter

Note [Trainers]
~~~~~~~~~~~~~~~
Several trainers may use the same parameters at will: between the forward and the backward pass of one, another one steps.
T1 (own values)  a pass computes with the parameters that its forward calls saw: while there are other contexts on the owner, a
                 step writes the new values elsewhere, and then lets the parameter show them.
T2 (whole)       a forward call sees a parameter before or after a step, never a mixture.  Where other trainers are possible,
                 parameters so large that the interpreter runs other threads during the write are always written elsewhere.
Sparse gradients are the exception: their rows are written in place (a copy of the table would cost more than the step), which
no VJP of an embedding reads.
"""

import copy
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from nbgrad import rpc
from nbgrad.autograd.grad_mode import no_grad
from nbgrad.dist_autograd import _is_valid_context, get_gradients
from nbgrad.errors import ContextError
from nbgrad.jit.kernel import GIL_ELEMENTS
from nbgrad.optim.optimizer import Optimizer
from nbgrad.rpc import state


class LocalOptimizer:
    """The optimizer of one owner; steps are serialised, since they change parameters in place."""

    lock = threading.Lock()

    def __init__(self, kind: type, parameters: list, args: tuple, kwargs: dict):
        self.optimizer: Optimizer = kind(
            [rref.local_value() for rref in parameters], *args, **kwargs
        )

    def step(self, context_id: int) -> None:
        """Update with the gradients of a context; parameters that have none there stay as they are."""
        gradients = get_gradients(context_id)
        parameters = self.optimizer.parameters()
        found = [gradients.get(p) for p in parameters]
        agent = state.agent()
        has_others, most = agent.world > 2, GIL_ELEMENTS

        def elsewhere(p: np.ndarray) -> bool:
            """Note [Trainers]"""
            return len(agent.contexts.table) > 1 or (has_others and p.size > most)

        with no_grad(), LocalOptimizer.lock:
            if type(self.optimizer).step is Optimizer.step:
                arrays = [None if g is None else g.array for g in found]
                self.optimizer.step_with(arrays, elsewhere)
            else:
                self.step_of_user(parameters, found)

    def step_of_user(self, parameters: list, gradients: list) -> None:
        """The step of a class that defines its own, which reads `.grad`; what was there before is there again afterwards."""
        before = [p.grad for p in parameters]
        try:
            for p, g in zip(parameters, gradients):
                p.grad = g
            self.optimizer.step()
        finally:
            for p, g in zip(parameters, before):
                p.grad = g


@rpc.register
def make(kind: type, parameters: list, args: tuple, kwargs: dict) -> LocalOptimizer:
    """On an owner: its optimizer."""
    return LocalOptimizer(kind, parameters, args, kwargs)


@rpc.register
def step(optimizer: rpc.RRef, context_id: int) -> None:
    """On an owner: its step."""
    optimizer.local_value().step(context_id)


@rpc.register
def state_of(optimizer: rpc.RRef) -> dict:
    """On an owner: the state of its optimizer, as it is between two steps."""
    local = optimizer.local_value()
    with LocalOptimizer.lock:
        return copy.deepcopy(local.optimizer.state_dict())


@rpc.register
def load_state(optimizer: rpc.RRef, state: dict) -> None:
    """On an owner: go on from a state."""
    local = optimizer.local_value()
    with LocalOptimizer.lock:
        local.optimizer.load_state_dict(state)


@rpc.register
def set_options(optimizer: rpc.RRef, options: dict) -> None:
    """On an owner: other options of its optimizer, from the next step on."""
    local = optimizer.local_value().optimizer
    with LocalOptimizer.lock:
        for group in local.param_groups:
            if unknown := sorted(set(options) - (set(group) - {"params"})):
                raise ValueError(f"{type(local).__name__} has no option {', '.join(unknown)}")
            local.check(group | options)
        for group in local.param_groups:
            group.update(options)


class DistributedOptimizer:
    """Optimizer of parameters that live on several workers; PyTorch's class of that name.

    Parameters
    ----------
    optimizer_class : type
        A local optimizer, as `nbgrad.optim.SGD`.
    params_rref : list of RRef
        References to the parameters.
    *args, **kwargs
        For `optimizer_class`.

    Raises
    ------
    Exception
        What the constructor raised on an owner.

    Examples
    --------
    On a worker of a group, with `w` an RRef to a parameter of another worker::

        optimizer = DistributedOptimizer(optim.SGD, [w], lr=0.05)
        with dist_autograd.context() as context_id:
            dist_autograd.backward(context_id, [loss()])
            optimizer.step(context_id)
    """

    def __init__(self, optimizer_class: type, params_rref: list, *args: Any, **kwargs: Any):
        owned: dict = {}
        for rref in params_rref:
            owned.setdefault(rref.owner(), []).append(rref)
        if not owned:
            raise ValueError("optimizer got an empty parameter list")
        self.is_functional_optim = False
        with no_grad():
            made = [
                rpc.remote(owner, make, args=(optimizer_class, parameters, args, kwargs))
                for owner, parameters in owned.items()
            ]
            for optimizer in made:
                optimizer.confirm()
        self.remote_optimizers = made

    def step(self, context_id: int) -> None:
        """Update all parameters with their gradients of the context; waits for all owners.

        Raises
        ------
        ContextError
            If this worker has no part of the context.
        Exception
            What a step raised on an owner; the last one, if several did.
        """
        if not isinstance(context_id, int):
            raise ContextError(
                f"step() needs the id of the context that backward ran in, got {context_id!r}"
            )
        _is_valid_context(context_id)
        self.on_owners(step, [(context_id,)] * len(self.remote_optimizers))

    def set_options(self, **options: Any) -> None:
        """Change options of all groups on all owners, from the next step on: `set_options(lr=0.01)`.

        Raises
        ------
        ValueError
            If an optimizer has no such option, or it makes no sense; nothing is changed on that owner.
        """
        self.on_owners(set_options, [(options,)] * len(self.remote_optimizers))

    def state_dict(self) -> dict[str, dict]:
        """State of the optimizers by the name of their worker, gathered here; tensors are copies.

        Raises
        ------
        Exception
            What failed on an owner.
        """
        states = self.on_owners(state_of, [()] * len(self.remote_optimizers))
        return dict(zip(self.owners(), states))

    def load_state_dict(self, state_dict: dict[str, dict]) -> None:
        """Go on from a state that `state_dict()` returned, each owner from its own part.

        Raises
        ------
        ValueError
            If it is of other workers, or of parameters of other sizes; no optimizer is changed in the first case.
        """
        owners = self.owners()
        if sorted(state_dict) != sorted(owners):
            raise ValueError(
                f"the state dict is of workers {sorted(state_dict)}, and the parameters of this optimizer live on "
                f"{sorted(owners)}: give the workers the names they had, or load the parts where they belong"
            )
        self.on_owners(load_state, [(state_dict[owner],) for owner in owners])

    def owners(self) -> list[str]:
        return [optimizer.owner_name() for optimizer in self.remote_optimizers]

    def on_owners(self, function: Callable, arguments: list[tuple]) -> list:
        """Call a function on all owners at once; the results, or the last error after all have answered."""
        with no_grad():
            futures = [
                rpc.rpc_async(optimizer.owner(), function, args=(optimizer, *more))
                for optimizer, more in zip(self.remote_optimizers, arguments)
            ]
        error, results = None, []
        for future in futures:
            try:
                results.append(future.wait())
            except Exception as failure:
                error = failure
        if error is not None:
            raise error
        return results
