"""A parameter server and its trainers: the model lives on one worker, others train it at will through remote calls.

    trainer                                                   worker "server"
    Trainer("server", make_model, SGD, lr=0.1)           ──►  ParameterServer, one for all trainers
    loss = cross_entropy(trainer(x), y)                  ──►  forward of the model
    backward, step                                       ──►  gradients of that trainer's context; the update

Several trainers step when they like.  Each pass computes with the parameters that its own forward saw: a step between them
writes new values beside the old ones (Note [Trainers] of nbgrad.optim.distributed).
"""

import threading
from collections.abc import Callable
from typing import Any

from nbgrad import dist_autograd, rpc
from nbgrad.autograd import Tensor
from nbgrad.nn import Module
from nbgrad.optim import DistributedOptimizer


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

    def forward(self, *inputs: Any) -> Any:
        """The model's results; recorded, in the caller's context."""
        return self.module(*inputs)

    def parameter_rrefs(self) -> list:
        """References to the parameters that are trained."""
        return [rpc.RRef(p) for p in self.module.parameters() if p.requires_grad]

    def state_dict(self) -> dict:
        """Values of all parameters and buffers, as they are now."""
        return {name: tensor.clone() for name, tensor in self.module.state_dict().items()}


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
        **options: Any,
    ):
        self.owner, self.name = server, name
        self.server = rpc.remote(server, found, args=(name, make, args))
        self.parameters = rpc.rpc_sync(server, parameter_rrefs, args=(self.server,))
        self.optimizer = DistributedOptimizer(optimizer_class, self.parameters, **options)

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

    def forget(self) -> None:
        """Let the server drop the model; for the last trainer."""
        rpc.rpc_sync(self.owner, forget, args=(self.name,))
