"""A remote embedding on a parameter server, dense layers on each trainer: RemoteModule beside local parameters.

master (rank 2)            trainers (ranks 0, 1)                               ps (rank 3)
RemoteModule("ps", ...)                                                    ->  nn.EmbeddingBag
rpc_async(run_trainer)  -> remote_emb.forward(indices, offsets)            ->  bags of embeddings
                           local layer, loss
                           dist_autograd.backward, DistributedOptimizer    ->  gradients and updates on both
"""

import argparse
import os
import random

import nbgrad as torch
import nbgrad.distributed as dist
import nbgrad.distributed.autograd as dist_autograd
import nbgrad.distributed.rpc as rpc
import nbgrad.multiprocessing as mp
import nbgrad.nn as nn
import nbgrad.optim as optim
from nbgrad.distributed.nn import RemoteModule
from nbgrad.distributed.optim import DistributedOptimizer
from nbgrad.distributed.rpc import RRef, TensorPipeRpcBackendOptions

parser = argparse.ArgumentParser(description="Remote modules")
parser.add_argument("--epochs", type=int, default=10)
args = parser.parse_args()

NUM_EMBEDDINGS, EMBEDDING_DIM, CLASSES, BAG = 60, 8, 4, 5


class HybridModel(nn.Module):
    """A remote, sparse part and a local, dense one."""

    def __init__(self, remote_emb_module):
        super().__init__()
        self.remote_emb_module = remote_emb_module
        self.fc = nn.Linear(EMBEDDING_DIM, CLASSES)

    def forward(self, indices, offsets):
        return self.fc(self.remote_emb_module.forward(indices, offsets))


class Doubling(nn.Module):
    """A module of our own, for the second remote module."""

    def __init__(self, factor):
        super().__init__()
        self.factor = nn.Parameter(torch.full((1,), factor))

    def forward(self, x, shift=0.0):
        return x * self.factor + shift


def get_next_batch(rank, n_batches=4, batch_size=20):
    """Bags of indices; the class of a bag is the most frequent remainder."""
    rng = random.Random(rank)
    for _ in range(n_batches):
        indices, offsets, target = [], [], []
        for _ in range(batch_size):
            label = rng.randrange(CLASSES)
            offsets.append(len(indices))
            target.append(label)
            indices += [
                rng.randrange(NUM_EMBEDDINGS // CLASSES) * CLASSES + label for _ in range(BAG)
            ]
        yield torch.LongTensor(indices), torch.LongTensor(offsets), torch.LongTensor(target)


def run_trainer(remote_emb_module, rank):
    """What the master calls on each trainer."""
    torch.manual_seed(rank)
    model = HybridModel(remote_emb_module)
    model_parameter_rrefs = model.remote_emb_module.remote_parameters()
    for param in model.fc.parameters():
        model_parameter_rrefs.append(RRef(param))
    opt = DistributedOptimizer(optim.SGD, model_parameter_rrefs, lr=0.5)
    criterion = nn.CrossEntropyLoss()
    first = last = None
    for _ in range(args.epochs):
        for indices, offsets, target in get_next_batch(rank):
            with dist_autograd.context() as context_id:
                output = model(indices, offsets)
                loss = criterion(output, target)
                dist_autograd.backward(context_id, [loss])
                opt.step(context_id)
            first = loss.item() if first is None else first
            last = loss.item()
    print(f"Training done for rank {rank}: loss {first:.3f} to {last:.3f}", flush=True)
    return first, last


def use_modules_by_hand():
    """The rest of a remote module's interface."""
    doubling = RemoteModule("ps/cpu", Doubling, args=(2.0,))
    x = torch.ones(3)
    assert doubling.forward(x, shift=1.0).tolist() == [3.0, 3.0, 3.0]
    assert doubling.forward_async(x).wait().tolist() == [2.0, 2.0, 2.0]
    assert doubling.get_module_rref().owner_name() == "ps"
    doubling.eval()
    assert doubling.get_module_rref().to_here().training is False
    doubling.train()
    (factor,) = doubling.remote_parameters()
    with dist_autograd.context() as context_id:
        loss = doubling.forward(x).sum()
        dist_autograd.backward(context_id, [loss])
        DistributedOptimizer(optim.SGD, [factor], lr=0.1).step(context_id)
    assert abs(factor.to_here().item() - 1.7) < 1e-6
    print("interface as expected", flush=True)


def run_worker(rank, world_size):
    os.environ.setdefault("MASTER_ADDR", "localhost")
    os.environ.setdefault("MASTER_PORT", "29506")
    assert dist.is_available()
    options = TensorPipeRpcBackendOptions(init_method="env://")
    name = {2: "master", 3: "ps"}.get(rank, f"trainer{rank}")
    rpc.init_rpc(name, rank=rank, world_size=world_size, rpc_backend_options=options)
    if rank == 2:
        use_modules_by_hand()
        remote_emb_module = RemoteModule(
            "ps",
            nn.EmbeddingBag,
            args=(NUM_EMBEDDINGS, EMBEDDING_DIM),
            kwargs={"mode": "sum"},
        )
        futs = []
        for trainer_rank in (0, 1):
            fut = rpc.rpc_async(
                f"trainer{trainer_rank}", run_trainer, args=(remote_emb_module, trainer_rank)
            )
            futs.append(fut)
        for fut in futs:
            first, last = fut.wait()
            assert last < first
    rpc.shutdown()


if __name__ == "__main__":
    world_size = 4
    mp.spawn(run_worker, args=(world_size,), nprocs=world_size, join=True)
