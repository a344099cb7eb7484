"""DistributedOptimizer: parameters of several workers, stepped where they live."""

import threading

import numpy as np
import pytest

import nbgrad as nb
from nbgrad import dist_autograd, nn, optim, rpc
from nbgrad.errors import ContextError

RATE, STEPS = 0.1, 5


class Stage(nn.Module):
    def __init__(self, value):
        super().__init__()
        self.weight = nn.Parameter(nb.full((3, 3), value))
        self.unused = nn.Parameter(nb.ones(2))

    def forward(self, x):
        return nb.tanh(x @ self.weight)

    def references(self):
        return [rpc.RRef(p) for p in self.parameters()]

    def values(self):
        return [p.detach().clone() for p in self.parameters()]


def make_all(kind, stages=None, **options):
    stages = stages or [rpc.remote(r, Stage, args=(0.1 * (r + 1),)) for r in range(2)]
    references = [p for stage in stages for p in stage.rpc_sync().references()]
    return stages, optim.DistributedOptimizer(kind, references, **options)


def train_across(kind, options):
    stages, optimizer = make_all(kind, **options)
    x = nb.ones(2, 3)
    for _ in range(STEPS):
        with dist_autograd.context() as context_id:
            y = stages[1].rpc_sync().forward(stages[0].rpc_sync().forward(x))
            dist_autograd.backward(context_id, [y.sum()])
            optimizer.step(context_id)
    return [value.numpy() for stage in stages for value in stage.rpc_sync().values()]


def train_here(kind, options):
    stages = [Stage(0.1), Stage(0.2)]
    optimizer = kind([p for stage in stages for p in stage.parameters()], **options)
    for _ in range(STEPS):
        optimizer.zero_grad()
        stages[1](stages[0](nb.ones(2, 3))).sum().backward()
        optimizer.step()
    return [value.numpy() for stage in stages for value in stage.values()]


KINDS = [
    (optim.SGD, {"lr": RATE, "momentum": 0.9}),
    (optim.Adam, {"lr": RATE}),
    (optim.AdamW, {"lr": RATE}),
]


@pytest.mark.parametrize(("kind", "options"), KINDS, ids=lambda v: getattr(v, "__name__", ""))
def test_the_same_parameters_as_in_one_process(group2, kind, options):
    across, here = group2.call(train_across, kind, options), train_here(kind, options)
    assert all((a == b).all() for a, b in zip(across, here))


def refuse_options():
    make_all(optim.SGD, lr=-1.0)


def step_without_context():
    _, optimizer = make_all(optim.SGD, lr=RATE)
    optimizer.step(12345)


def test_an_error_on_an_owner_is_raised_here(group2):
    with pytest.raises(ValueError, match="Invalid learning rate"):
        group2.call(refuse_options)


def test_a_step_needs_the_context(group2):
    with pytest.raises(ContextError, match="Could not find autograd context with id: 12345"):
        group2.call(step_without_context)


def test_no_parameters_are_refused():
    with pytest.raises(ValueError, match="empty parameter list"):
        optim.DistributedOptimizer(optim.SGD, [], lr=RATE)


def change_options():
    stages, optimizer = make_all(optim.SGD, lr=RATE)
    before = [value.numpy() for stage in stages for value in stage.rpc_sync().values()]
    optimizer.set_options(lr=0.0)
    still = steps(stages, optimizer, 1)
    optimizer.set_options(lr=RATE, momentum=0.5)
    moved = steps(stages, optimizer, 1)
    options = [part["param_groups"][0] for part in optimizer.state_dict().values()]
    errors = []
    for wrong in ({"lr": -1.0}, {"speed": 2}, {"params": []}):
        try:
            optimizer.set_options(**wrong)
        except ValueError as error:
            errors.append(str(error))
    return before, still, moved, [(group["lr"], group["momentum"]) for group in options], errors


def test_options_change_on_all_owners(group2):
    before, still, moved, options, errors = group2.call(change_options)
    assert all((a == b).all() for a, b in zip(before, still))
    assert sum((a != b).any() for a, b in zip(still, moved)) == 2  # each owner's weight
    assert options == [(RATE, 0.5)] * 2
    assert [error.splitlines()[0] for error in errors] == [
        "Invalid learning rate: -1.0",
        "SGD has no option speed",
        "SGD has no option params",
    ]


def steps(stages, optimizer, n):
    x = nb.ones(2, 3)
    for _ in range(n):
        with dist_autograd.context() as context_id:
            y = stages[1].rpc_sync().forward(stages[0].rpc_sync().forward(x))
            dist_autograd.backward(context_id, [y.sum()])
            optimizer.step(context_id)
    return [value.numpy() for stage in stages for value in stage.rpc_sync().values()]


def resume():
    stages, optimizer = make_all(optim.Adam, lr=RATE)
    steps(stages, optimizer, 2)
    state = optimizer.state_dict()
    other_stages, other = make_all(optim.Adam, lr=RATE)
    steps(other_stages, other, 2)  # parameters as the first ones
    _, other = make_all(optim.Adam, other_stages, lr=RATE)  # that has no state
    other.load_state_dict(state)
    here, there = steps(stages, optimizer, 2), steps(other_stages, other, 2)
    numbers = [part["state"][0]["step"] for part in state.values()]
    try:
        other.load_state_dict({"nobody": {}})
    except ValueError as error:
        return sorted(state), numbers, [(a == b).all() for a, b in zip(here, there)], str(error)


def test_state_is_gathered_by_owner_and_loaded_back(group2):
    names, numbers, same, error = group2.call(resume)
    assert names == ["worker0", "worker1"]
    assert numbers == [2, 2]  # copies: later steps do not change them
    assert all(same)
    assert "nobody" in error
    assert "worker0" in error


# ---------------------------------------------------------------- several trainers: Note [Trainers] of distributed.py


class Weight:
    """A parameter that y = w * w * x is made of, so that its gradient tells which w the graph saw."""

    def __init__(self, size):
        self.w = nn.Parameter(nb.full((size,), 2.0))

    def __call__(self, x):
        return self.w * self.w * x

    def reference(self):
        return rpc.RRef(self.w)

    def value(self):
        return self.w.detach().clone()

    def gradient(self, context_id):
        return dist_autograd.get_gradients(context_id)[self.w]


def in_thread(function, *args):
    thread = threading.Thread(target=function, args=args)
    thread.start()
    thread.join()


def one_step(weight, optimizer, x):
    with dist_autograd.context() as context_id:
        dist_autograd.backward(context_id, [weight.rpc_sync().__call__(x).sum()])
        optimizer.step(context_id)


def step_between(kind, size):
    """Another trainer steps between the forward and the backward pass of this one."""
    weight = rpc.remote(1, Weight, args=(size,))
    optimizer = optim.DistributedOptimizer(kind, [weight.rpc_sync().reference()], lr=0.25)
    x = nb.ones(size)
    with dist_autograd.context() as context_id:
        loss = weight.rpc_sync().__call__(x).sum()
        in_thread(one_step, weight, optimizer, x)
        between = weight.rpc_sync().value()
        dist_autograd.backward(context_id, [loss])
        gradient = weight.rpc_sync().gradient(context_id)
        optimizer.step(context_id)
    return [sorted(set(t.tolist())) for t in (between, gradient, weight.rpc_sync().value())]


@pytest.mark.parametrize("size", [3, 300, 100_000])
@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam])
def test_a_pass_has_the_parameters_that_its_forward_saw(group3, kind, size):
    between, gradient, after = group3.call(step_between, kind, size)
    assert gradient == [4.0]  # 2 w x, w = 2: not what the other trainer made of it
    if kind is optim.SGD:
        assert (between, after) == ([1.0], [0.0])
    else:
        assert between == pytest.approx([1.75], abs=1e-6)
        assert len(after) == 1


def hammer(weight, optimizer, n, wrong):
    """Steps at will; each gradient must be that of one value of w, the one that its result was made of."""
    for _ in range(n):
        with dist_autograd.context() as context_id:
            y = weight.rpc_sync().__call__(nb.ones(HAMMERED))
            dist_autograd.backward(context_id, [y.sum()])
            g = weight.rpc_sync().gradient(context_id)
            if not np.allclose((g / 2) ** 2, y.detach(), rtol=1e-5) or g.min() != g.max():
                wrong.append((g.tolist()[:3], y.tolist()[:3]))
            optimizer.step(context_id)


HAMMERED = 20_000  # more than what is written under the interpreter's lock


def hammer_here(weight, optimizer, n):
    wrong = []
    hammer(weight, optimizer, n, wrong)
    return wrong


def three_trainers(n):
    weight = rpc.remote(0, Weight, args=(HAMMERED,))
    reference = weight.rpc_sync().reference()
    optimizers = [optim.DistributedOptimizer(optim.SGD, [reference], lr=1e-4) for _ in range(3)]
    futures = [rpc.rpc_async(rank, hammer_here, (weight, optimizers[rank], n)) for rank in range(3)]
    return [future.wait() for future in futures]


def test_trainers_step_at_will(group3):
    assert group3.call(three_trainers, 20, deadline=60.0) == [[], [], []]


@pytest.mark.slow
def test_trainers_step_at_will_for_long(group3):
    assert group3.call(three_trainers, 3_400, deadline=600.0) == [[], [], []]


class HalfTheGradient(optim.Optimizer):
    """An optimizer with a step of its own, as users write them."""

    def __init__(self, params, fails=False):
        super().__init__(params, {"fails": fails})

    def step(self, closure=None):
        for group in self.param_groups:
            if group["fails"]:
                raise ValueError("this step fails")
            for p in group["params"]:
                if p.grad is not None:
                    self.state[p]["steps"] = self.state[p].get("steps", 0) + 1
                    p.add_(p.grad, alpha=-0.5)


def values_of(stages):
    return [value.numpy() for stage in stages for value in stage.rpc_sync().values()]


def own_step(fails):
    stages, optimizer = make_all(HalfTheGradient, fails=fails)
    before = values_of(stages)
    with dist_autograd.context() as context_id:
        y = stages[1].rpc_sync().forward(stages[0].rpc_sync().forward(nb.ones(2, 3)))
        dist_autograd.backward(context_id, [y.sum()])
        gradients = [rpc.rpc_sync(r, gradients_of, (context_id, stages[r])) for r in range(2)]
        optimizer.step(context_id)
    left = [rpc.rpc_sync(r, grads_left, (stages[r],)) for r in range(2)]
    return before, [g for part in gradients for g in part], values_of(stages), left


def gradients_of(context_id, stage):
    found = dist_autograd.get_gradients(context_id)
    return [
        found[p].numpy().copy() if p in found else None for p in stage.local_value().parameters()
    ]


def grads_left(stage):
    return [p.grad for p in stage.local_value().parameters()]


def test_a_class_with_a_step_of_its_own_is_stepped_by_it(group2):
    before, gradients, after, left = group2.call(own_step, False)
    for old, g, new in zip(before, gradients, after):
        assert np.allclose(new, old if g is None else old - 0.5 * g)
    assert sum(g is not None for g in gradients) == 2
    assert left == [[None, None], [None, None]]  # `.grad` is not where these gradients live


def test_an_error_in_a_step_of_its_own_is_raised_here(group2):
    with pytest.raises(ValueError, match="this step fails"):
        group2.call(own_step, True)
