"""A parameter server and its trainers: the model lives on one worker, others train it at will through remote calls.

    trainer                                                   worker "server"
    Trainer("server", make_model, SGD, lr=0.1)           ──►  ParameterServer, one for all trainers
    loss = cross_entropy(trainer(x), y)                  ──►  forward of the model
    backward, step                                       ──►  gradients of that trainer's context; the update

Several trainers step when they like, or together (joint_step.py).  Each pass computes with the parameters that its own
forward saw: a step between them writes new values beside the old ones (Note [Trainers] of nbgrad.optim.distributed).
"""

import threading
from collections.abc import Callable
from typing import Any

from nbgrad import dist_autograd, rpc
from nbgrad.autograd import Tensor
from nbgrad.nn import Module
from nbgrad.optim import DistributedOptimizer
from nbgrad.parallel.joint_step import JointStep
from nbgrad.rpc import Future


class ParameterServer:
    """A model that several workers train; made by the first `Trainer` that names it.

    Parameters
    ----------
    module : Module
        The model.
    """

    named: dict[str, "ParameterServer"] = {}
    lock = threading.Lock()

    def __init__(self, module: Module):
        self.module = module
        self.joint: JointStep | None = None  # where the trainers step together

    def join(self, n_trainers: int, optimizer_class: type, options: dict) -> None:
        """A trainer that steps together with others has come; the first one makes the optimizer."""
        with ParameterServer.lock:
            if self.joint is None:
                params = [p for p in self.module.parameters() if p.requires_grad]
                self.joint = JointStep(optimizer_class(params, **options), n_trainers)
            elif self.joint.n_trainers != n_trainers:
                raise ValueError(
                    f"together is (number, {n_trainers}) here and (number, {self.joint.n_trainers}) in another trainer of this "
                    f"model"
                )

    def forward(self, *inputs: Any) -> Any:
        """The model's results; recorded, in the caller's context."""
        return self.module(*inputs)

    def parameter_rrefs(self) -> list:
        """References to the parameters that are trained."""
        return [rpc.RRef(p) for p in self.module.parameters() if p.requires_grad]

    def state_dict(self) -> dict:
        """Values of all parameters and buffers, as they are now."""
        return {name: tensor.clone() for name, tensor in self.module.state_dict().items()}

    def load_state_dict(self, state: dict) -> None:
        """Go on from such values."""
        self.module.load_state_dict(state)


@rpc.register
def found(name: str, make: Callable, args: tuple) -> ParameterServer:
    """On the server: the model of that name, made now if it is not there."""
    with ParameterServer.lock:
        if name not in ParameterServer.named:
            ParameterServer.named[name] = ParameterServer(make(*args))
        return ParameterServer.named[name]


@rpc.register
def forward(server: rpc.RRef, inputs: tuple) -> Any:
    """On the server: the model's results."""
    return server.local_value().forward(*inputs)


@rpc.register
def parameter_rrefs(server: rpc.RRef) -> list:
    """On the server: references to its parameters."""
    return server.local_value().parameter_rrefs()


@rpc.register
def state_of(server: rpc.RRef) -> dict:
    """On the server: its values."""
    return server.local_value().state_dict()


@rpc.register
def load_state(server: rpc.RRef, state: dict) -> None:
    """On the server: go on from other values."""
    server.local_value().load_state_dict(state)


@rpc.register
def join(server: rpc.RRef, n_trainers: int, optimizer_class: type, options: dict) -> None:
    """On the server: a trainer has come that steps together with others."""
    server.local_value().join(n_trainers, optimizer_class, options)


@rpc.register
@rpc.functions.async_execution
def joint_step(server: rpc.RRef, trainer: int, context_id: int) -> Future:
    """On the server: a trainer's gradients are in that context."""
    return server.local_value().joint.step(trainer, context_id)


@rpc.register
def of_joint(server: rpc.RRef, name: str, args: tuple) -> Any:
    """On the server: what else the optimizer of joint steps can do."""
    joint = server.local_value().joint
    methods = {
        "set_options": joint.set_options,
        "state_dict": joint.state_dict,
        "load_state_dict": joint.load_state_dict,
    }
    return methods[name](*args)


class JointOptimizer:
    """A trainer's side of joint steps; used as a `DistributedOptimizer` is."""

    def __init__(self, owner: Any, server: rpc.RRef, trainer: int) -> None:
        self.owner, self.server, self.trainer = owner, server, trainer

    def step(self, context_id: int) -> None:
        """Make a step with the gradients of that context and of the other trainers'; returns when it is done."""
        args = (self.server, self.trainer, context_id)
        rpc.rpc_sync(self.owner, joint_step, args=args, timeout=0)  # others may be slow

    def call(self, name: str, *args: Any) -> Any:
        return rpc.rpc_sync(self.owner, of_joint, args=(self.server, name, args))

    def set_options(self, **options: Any) -> None:
        """Change options from the next step on; all trainers give the same."""
        self.call("set_options", options)

    def state_dict(self) -> dict:
        """The state of the one optimizer; a copy."""
        return self.call("state_dict")

    def load_state_dict(self, state: dict) -> None:
        """Go on from such a state."""
        self.call("load_state_dict", state)


@rpc.register
def forget(name: str) -> None:
    """On the server: the model of that name is not needed any more."""
    with ParameterServer.lock:
        ParameterServer.named.pop(name, None)


class Trainer:
    """One of the workers that train a model which lives on another.

    Parameters
    ----------
    server : str or int
        Name or rank of the worker where the model lives.
    make : callable
        `make(*args)` gives the model; run there, by the first trainer that comes.
    optimizer_class : type
        A local optimizer, as `nbgrad.optim.SGD`; its state belongs to this trainer.
    args : tuple
        For `make`.
    name : str
        Of the model, where a worker serves several.
    together : (int, int), optional
        (k, n): this is trainer k of n that step together: each step waits for all of them, and takes the mean of their
        gradients; one optimizer serves all.  By default each steps when it likes, with an optimizer of its own.
    **options
        For `optimizer_class`.

    Examples
    --------
    On a worker of a group of which "server" is another worker::

        trainer = Trainer("server", make_model, optim.SGD, lr=0.1)
        for x, y in batches:
            loss = trainer.train(lambda: F.cross_entropy(trainer(x), y))
    """

    def __init__(
        self,
        server: Any,
        make: Callable,
        optimizer_class: type,
        *,
        args: tuple = (),
        name: str = "model",
        together: tuple[int, int] | None = None,
        **options: Any,
    ):
        self.owner, self.name = server, name
        self.server = rpc.remote(server, found, args=(name, make, args))
        self.parameters = rpc.rpc_sync(server, parameter_rrefs, args=(self.server,))
        self.optimizer: DistributedOptimizer | JointOptimizer
        if together is None:
            self.optimizer = DistributedOptimizer(optimizer_class, self.parameters, **options)
        else:
            number, n_trainers = together
            args = (self.server, n_trainers, optimizer_class, options)
            rpc.rpc_sync(server, join, args=args)
            self.optimizer = JointOptimizer(server, self.server, number)

    def __call__(self, *inputs: Any) -> Any:
        """The model's results; inside of `train`, or of a context of `dist_autograd`."""
        return rpc.rpc_sync(self.owner, forward, args=(self.server, inputs))

    def train(self, loss_of: Callable[[], Tensor]) -> Tensor:
        """One step: `loss_of()` computes the loss through this trainer; returns its value.

        Raises
        ------
        Exception
            What failed on the server, in the forward, the backward pass or the step.
        """
        with dist_autograd.context() as context_id:
            loss = loss_of()
            dist_autograd.backward(context_id, [loss])
            self.optimizer.step(context_id)
        return loss.detach()

    def state_dict(self) -> dict:
        """The model's values as they are now; copies."""
        return rpc.rpc_sync(self.owner, state_of, args=(self.server,))

    def load_state_dict(self, state: dict) -> None:
        """Let the model go on from such values; while no trainer is in a step."""
        rpc.rpc_sync(self.owner, load_state, args=(self.server, state))

    def forget(self) -> None:
        """Let the server drop the model; for the last trainer."""
        rpc.rpc_sync(self.owner, forget, args=(self.name,))
