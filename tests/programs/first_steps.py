"""First steps: calls, references, futures, a distributed backward pass and an optimizer step, with built-in functions.

worker0                                 worker1
rpc_sync, rpc_async, remote         ->  torch.add, torch.mul and functions of this file
RRef.to_here, rpc_sync().method     ->  values that stay there
dist_autograd, DistributedOptimizer ->  gradients of both workers' tensors
"""

import os

import nbgrad as torch
import nbgrad.distributed.autograd as dist_autograd
import nbgrad.distributed.rpc as rpc
import nbgrad.multiprocessing as mp
from nbgrad import optim
from nbgrad.distributed.optim import DistributedOptimizer
from nbgrad.futures import Future


class Counter:
    def __init__(self, start=0):
        self.value = start

    def count(self, by=1):
        self.value += by
        return self.value

    @classmethod
    def of_class(cls, x):
        return f"{cls.__name__} {x}"


def random_tensor():
    return torch.rand((3, 3), requires_grad=True)


def ones_to_train(n):
    return torch.ones(n, requires_grad=True)


def add_all(*tensors, scale=1.0, **more):
    total = tensors[0]
    for tensor in tensors[1:]:
        total = total + tensor
    return {"sum": total * scale, "names": sorted(more), "worker": rpc.get_worker_info().name}


def add_to_reference(rref, y):
    return rref.to_here() + y


def raise_value_error(text):
    raise ValueError(text)


def gradient_here(context_id, rref):
    return dist_autograd.get_gradients(context_id)[rref.local_value()]


@rpc.functions.async_execution
def async_add_chained(to, x, y, z):
    return rpc.rpc_async(to, torch.add, args=(x, y)).then(lambda fut: fut.wait() + z)


@rpc.functions.async_execution
def answer_at_once(x):
    fut = Future()
    fut.set_result(x)
    return fut


def calls():
    x, y = torch.ones(2), torch.full((2,), 3.0)
    assert rpc.rpc_sync("worker1", torch.add, args=(x, y)).tolist() == [4.0, 4.0]
    assert rpc.rpc_sync(1, torch.sum, args=(y,), kwargs={"dim": 0}).item() == 6.0
    futs = [rpc.rpc_async("worker1", torch.mul, args=(x, k)) for k in range(5)]
    assert [fut.wait()[0].item() for fut in futs] == [0.0, 1.0, 2.0, 3.0, 4.0]
    found = rpc.rpc_sync("worker1", add_all, args=(x, y, x), kwargs={"scale": 2.0, "b": 1, "a": x})
    assert found["sum"].tolist() == [10.0, 10.0]
    assert found["names"] == ["a", "b"]
    assert found["worker"] == "worker1"
    assert rpc.rpc_sync("worker1", Counter.of_class, args=(5,)) == "Counter 5"
    assert rpc.rpc_sync("worker1", Counter, args=(5,)).value == 5
    total = rpc.rpc_sync("worker1", async_add_chained, args=("worker0", x, x, y))
    assert total.tolist() == [5.0, 5.0]
    assert (
        rpc.rpc_async("worker1", answer_at_once, args=(7,)).then(lambda f: f.wait() + 1).wait() == 8
    )
    came = None
    try:
        rpc.rpc_sync("worker1", raise_value_error, args=("wrong",))
    except ValueError as error:
        came = str(error)
    assert "wrong" in came


def references():
    rref1 = rpc.remote("worker1", torch.add, args=(torch.ones(2), 3))
    rref2 = rpc.remote("worker1", torch.add, args=(torch.ones(2), 1))
    assert (rref1.to_here() + rref2.to_here()).tolist() == [6.0, 6.0]
    assert rpc.rpc_sync("worker1", add_to_reference, args=(rref1, 1)).tolist() == [5.0, 5.0]
    counter = rpc.remote("worker1", Counter, args=(10,))
    assert not counter.is_owner()
    assert counter.owner().name == counter.owner_name() == "worker1"
    assert counter.rpc_sync().count() == 11
    assert counter.rpc_async().count(by=4).wait() == 15
    assert counter.remote().count().to_here() == 16
    local = rpc.RRef(torch.zeros(2))
    assert local.is_owner()
    assert local.local_value() is local.to_here()


def training():
    with dist_autograd.context() as context_id:
        t1 = torch.rand((3, 3), requires_grad=True)
        rref = rpc.remote("worker1", random_tensor)
        t2 = rref.to_here()
        loss = rpc.rpc_sync("worker1", torch.mul, args=(t1, t2)).sum()
        dist_autograd.backward(context_id, [loss])
        grads = dist_autograd.get_gradients(context_id)
        assert torch.equal(grads[t1], t2.detach())
        theirs = rpc.rpc_sync("worker1", gradient_here, args=(context_id, rref))
        assert torch.equal(theirs, t1.detach())
    w = rpc.remote("worker1", ones_to_train, args=(2,))
    b = rpc.RRef(torch.zeros(2, requires_grad=True))
    opt = DistributedOptimizer(optim.SGD, [w, b], lr=0.1)
    for _ in range(20):
        with dist_autograd.context() as context_id:
            loss = ((w.to_here() + b.local_value() - 5.0) ** 2).sum()
            dist_autograd.backward(context_id, [loss])
            opt.step(context_id)
    assert loss.item() < 1e-3


def run(rank, world_size):
    os.environ.setdefault("MASTER_ADDR", "localhost")
    os.environ.setdefault("MASTER_PORT", "29507")
    rpc.init_rpc(f"worker{rank}", rank=rank, world_size=world_size)
    if rank == 0:
        calls()
        references()
        training()
        print("all of it as expected", flush=True)
    rpc.shutdown()


if __name__ == "__main__":
    mp.spawn(run, args=(2,), nprocs=2, join=True)
