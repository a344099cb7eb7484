"""Steps in which other workers take part run as without compile, with the same numbers, and say what they called."""

import warnings

import numpy as np
import pytest

import nbgrad as nb
import nbgrad.distributed as dist
from nbgrad import dist_autograd, rpc
from nbgrad.capture.effects import PLACES
from nbgrad.collectives.membership import State
from nbgrad.parallel import SharedParameters
from nbgrad.parallel.parameter_server import Trainer
from nbgrad.rpc.future import Future
from tests.collectives.everywhere import everywhere
from tests.parallel.problem import model, values

CALLS = 3
counted = [0]  # of this worker: what remote calls did here


def count(n):
    """What others call here; nothing of it is a tensor."""
    counted[0] += n
    return counted[0]


def of_w(effect):
    """A step that learns, with an effect in its middle."""

    def build(rank, world):
        w = nb.ones(3, requires_grad=True)
        call = effect(rank, world)

        def step(x):
            w.grad = None
            (w * x).sum().backward()
            call(w)
            return w.grad

        return step, lambda: [w.array, w.grad.array, np.array(counted)]

    return build


def barrier(rank, world):
    return lambda w: dist.barrier()


def monitored(rank, world):
    return lambda w: dist.monitored_barrier()


def reduced(rank, world):
    return lambda w: dist.all_reduce(w.grad)


def reduced_later(rank, world):
    return lambda w: dist.all_reduce(w.grad, async_op=True).wait()


def reduced_large(rank, world):
    ones = nb.ones(100_000)  # not a small one: an Operation
    return lambda w: dist.all_reduce(ones)


def objects(rank, world):
    return lambda w: dist.all_gather_object([None] * world, "no tensor")


def ring(rank, world):
    def exchange(w):
        got = nb.zeros(1)
        sent = dist.isend(nb.ones(1), (rank + 1) % world)
        dist.recv(got, (rank - 1) % world)
        sent.wait()

    return exchange


def grouped(rank, world):
    return lambda w: dist.destroy_process_group(dist.new_group(list(range(world))))


def called(rank, world):
    return lambda w: rpc.rpc_sync((rank + 1) % world, count, (1,))


def called_self(rank, world):
    return lambda w: rpc.rpc_sync(rank, count, (1,))


def called_later(rank, world):
    return lambda w: rpc.rpc_async((rank + 1) % world, count, (1,)).wait()


def remote(rank, world):
    return lambda w: rpc.remote((rank + 1) % world, count, (1,)).to_here()


def fetched(rank, world):
    rref = rpc.RRef(5)
    return lambda w: rref.to_here()


def fetched_locally(rank, world):
    rref = rpc.RRef(5)
    return lambda w: rref.local_value()


def waited(rank, world):
    future = Future.finished_with(1)
    return lambda w: future.wait()


def in_context(rank, world):
    def run(w):
        with dist_autograd.context() as context_id:
            dist_autograd.backward(context_id, [(w * w).sum()])
            w.grad.add_(dist_autograd.get_gradients(context_id)[w])

    return run


@pytest.mark.parametrize(
    ("effect", "name"),
    [
        (barrier, "barrier()"),
        (monitored, "monitored_barrier()"),
        (reduced, "all_reduce()"),
        (reduced_later, "all_reduce()"),
        (reduced_large, "all_reduce()"),
        (objects, "all_gather_object()"),
        (ring, "isend()"),
        (grouped, "new_group()"),
        (called, "rpc_sync()"),
        (called_self, "rpc_sync()"),
        (called_later, "rpc_async()"),
        (remote, "remote()"),
        (fetched, "RRef.to_here()"),
        (fetched_locally, "RRef.local_value()"),
        (waited, "Future.wait()"),
        (in_context, "context()"),
    ],
)
def test_an_effect_falls_back_and_is_named(group2, effect, name):
    check(group2, of_w, (effect,), name)


# ---------------------------------------------------------------- strategies


def shared(rank, world):
    net = model()
    optimizer = nb.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    strategy = SharedParameters(net, optimizer)
    return strategised(net, strategy)


def strategised(net, strategy):
    def step(x):
        strategy.zero_grad()
        net(nb.ones(4, 20) * x.sum()).pow(2).mean().backward()
        strategy.step()

    def found():
        seen = values(net)
        strategy.close()
        return seen

    return step, found


def averaged(rank, world):
    net = nb.nn.parallel.DistributedDataParallel(model())
    optimizer = nb.optim.SGD(net.parameters(), lr=0.05)

    def step(x):
        optimizer.zero_grad()
        net(nb.ones(4, 20) * (x.sum() + rank)).pow(2).mean().backward()
        optimizer.step()

    return step, lambda: values(net)


def made_of_ones():
    net = nb.nn.Linear(3, 1)
    for p in net.parameters():
        p.array[...] = 1
    return net


def served(rank, world):
    if rank:
        return (lambda x: None), list
    trainer = Trainer(1, made_of_ones, nb.optim.SGD, name="compiled", lr=0.05)

    def step(x):
        return trainer.train(lambda: (trainer(x) ** 2).sum()).detach()

    def found():
        seen = [v.array for v in trainer.state_dict().values()]
        trainer.forget()
        return seen

    return step, found


@pytest.mark.parametrize(
    ("build", "name"),
    [
        (shared, "SharedParameters.step()"),
        (averaged, "hooks"),
        (served, "Trainer.train()"),
    ],
)
def test_a_strategy_falls_back_and_is_named(group2, build, name):
    check(group2, plain, (build,), name)


def plain(build):
    return build


# ---------------------------------------------------------------- both ways


def both(rank, world, make, args):
    """(values without compile, values with it, reason, replays) of this worker."""
    found = []
    for compiled in (False, True):
        counted[0] = 0
        dist.barrier()
        step, read = make(*args)(rank, world)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            function = nb.compile(step) if compiled else step
            results = []
            for k in range(CALLS):
                y = function(nb.full((3,), k + 1.0 + rank))
                results.append(None if y is None else y.array.copy())
        dist.barrier()
        found.append([*results, *[np.array(x) for x in read()]])
        dist.barrier()
    return *found, function.reason, function.statistics().replays


def check(group, make, args, name):
    for rank, (eager, compiled, reason, replays) in enumerate(
        group.call(everywhere, both, make, args)
    ):
        for x, y in zip(eager, compiled, strict=True):
            np.testing.assert_array_equal(x, y)
        if rank and make is plain and args == (served,):
            continue
        assert name in reason
        assert replays == 0


def after_a_recording(rank, world):
    """Whether all places are as they were, also where a group ended inside the step."""

    def places():
        return [vars(owner)[name] for owner, name in PLACES]

    before, begin = places(), State.default.begin

    @nb.compile
    def step(x):
        pg = dist.new_group(list(range(world)))
        dist.destroy_process_group(pg)
        return x * 2.0

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        step(nb.ones(1))
    return places() == before, State.default.begin is begin


def test_everything_is_put_back(group2):
    assert group2.call(everywhere, after_a_recording) == [(True, True)] * 2
