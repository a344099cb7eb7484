"""Several trainers of one model that step at will: no error, and each gradient is that of the values its forward saw."""

import numpy as np
import pytest

import nbgrad as nb
from nbgrad import dist_autograd, rpc
from nbgrad.parallel import ParameterServer, Trainer
from nbgrad.rpc import state
from tests.groups import fresh

INPUTS, HIDDEN = 5, 7


class Watched(nb.nn.Module):
    """A model that also gives the values that it computes with."""

    def __init__(self):
        super().__init__()
        self.first = nb.nn.Linear(INPUTS, HIDDEN)
        self.second = nb.nn.Linear(HIDDEN, 1)

    def forward(self, x):
        while True:  # until nobody has stepped meanwhile: then these are the values that the result is made of
            seen = [p.array for p in self.parameters()]
            y = self.second(nb.tanh(self.first(x)))
            if all(p.array is array for p, array in zip(self.parameters(), seen)):
                return y, [nb.tensor(array) for array in seen]


def make():
    nb.manual_seed(3)
    return Watched()


def recomputed(seen, x):
    """Gradients of the same loss, by those values."""
    params = [nb.tensor(p.array.copy(), requires_grad=True) for p in seen]
    hidden = nb.tanh(nb.nn.functional.linear(x, params[0], params[1]))
    (nb.nn.functional.linear(hidden, params[2], params[3]) ** 2).sum().backward()
    return [p.grad.array for p in params]


@rpc.register
def gradients(rrefs, context_id):
    """On the server: gradients of the parameters in a context."""
    found = dist_autograd.get_gradients(context_id)
    return [found[rref.local_value()].clone() for rref in rrefs]


def trained(n_steps, rank):
    """A trainer's steps: the largest relative difference of a gradient."""
    trainer = Trainer(0, make, nb.optim.SGD, lr=1e-3, momentum=0.5)
    rng = np.random.default_rng(rank)
    worst = 0.0
    for _ in range(n_steps):
        x = nb.tensor(rng.standard_normal((4, INPUTS)).astype(np.float32))
        with dist_autograd.context() as context_id:
            y, seen = trainer(x)
            dist_autograd.backward(context_id, [(y**2).sum()])
            found = rpc.rpc_sync(0, gradients, args=(trainer.parameters, context_id))
            trainer.optimizer.step(context_id)
        for g, wanted in zip(found, recomputed(seen, x)):
            scale = max(float(np.abs(wanted).max()), 1e-6)
            worst = max(worst, float(np.abs(g.array - wanted).max()) / scale)
    return worst


def all_train(n_steps):
    """In the server's process: the trainers' results."""
    world = state.agent().world
    futures = [
        rpc.rpc_async(rank, trained, args=(n_steps, rank), timeout=0) for rank in range(1, world)
    ]
    found = [future.wait() for future in futures]
    n = len(ParameterServer.named)
    ParameterServer.named.clear()
    return found, n


def test_three_trainers_at_will():
    with fresh(4) as group:
        found, n = group.call(all_train, 60, deadline=60.0)
        assert n == 1, "one model for all"
        assert max(found) < 1e-4


@pytest.mark.slow
def test_three_trainers_for_10_000_steps():
    with fresh(4) as group:
        found, _ = group.call(all_train, 3400, deadline=600.0)
        assert max(found) < 1e-4


def simple(n_steps):
    trainer = Trainer(1, nb.nn.Linear, nb.optim.SGD, args=(2, 1), name="small", lr=0.05)
    x = nb.ones(4, 2)
    losses = [trainer.train(lambda: (trainer(x) ** 2).sum()).item() for _ in range(n_steps)]
    values = trainer.state_dict()
    trainer.train(lambda: (trainer(x) ** 2).sum())
    trainer.load_state_dict(values)  # back to before that step
    again = trainer.state_dict()
    trainer.forget()
    return losses, values, again


def test_train(group2):
    losses, values, again = group2.call(simple, 10)
    assert losses[-1] < 0.1 * losses[0] + 1e-6
    assert list(values) == ["weight", "bias"]
    assert values["weight"].shape == (1, 2)
    assert all((again[name] == value).all() for name, value in values.items())
