"""A parameter server that updates its model once per batch of gradients, by `async_execution`.

trainer k                               parameter server
model = server.get_model()          <-  a copy of the model
gradients of a local backward       ->  added up; a Future, so that no thread of the server waits
                                        the last trainer of a round: optimizer step
the new model                       <-  and the future of the round is done, for all trainers
"""

import argparse
import os
import threading

import nbgrad as torch
import nbgrad.distributed.rpc as rpc
import nbgrad.multiprocessing as mp
import nbgrad.nn as nn
from nbgrad import optim

FEATURES, HIDDEN, CLASSES, BATCH = 16, 32, 4, 20

parser = argparse.ArgumentParser(description="Batch-updating parameter server")
parser.add_argument("--trainers", type=int, default=2)
parser.add_argument("--updates", type=int, default=40)
args = parser.parse_args()


def new_model():
    return nn.Sequential(
        nn.Linear(FEATURES, HIDDEN), nn.ReLU(inplace=True), nn.Linear(HIDDEN, CLASSES)
    )


class BatchUpdateParameterServer:
    def __init__(self, batch_update_size):
        torch.manual_seed(0)
        self.model = new_model()
        self.lock = threading.Lock()
        self.future_model = torch.futures.Future()
        self.batch_update_size = batch_update_size
        self.curr_update_size = 0
        self.optimizer = optim.SGD(self.model.parameters(), lr=0.1, momentum=0.9)
        for p in self.model.parameters():
            p.grad = torch.zeros_like(p)

    def get_model(self):
        return self.model

    @staticmethod
    @rpc.functions.async_execution
    def update_and_fetch_model(ps_rref, grads):
        self = ps_rref.local_value()
        with self.lock:
            for p, g in zip(self.model.parameters(), grads):
                p.grad += g
            self.curr_update_size += 1
            fut = self.future_model
            if self.curr_update_size >= self.batch_update_size:
                for p in self.model.parameters():
                    p.grad /= self.batch_update_size
                self.curr_update_size = 0
                self.optimizer.step()
                self.optimizer.zero_grad(set_to_none=False)
                fut.set_result(self.model)
                self.future_model = torch.futures.Future()
        return fut


class Trainer:
    def __init__(self, ps_rref, seed):
        self.ps_rref = ps_rref
        self.loss_fn = nn.MSELoss()
        self.generator = torch.Generator().manual_seed(seed)
        torch.manual_seed(99)
        self.centers = torch.randn(CLASSES, FEATURES)

    def get_next_batch(self):
        one_hot_indices = torch.LongTensor(BATCH).random_(0, CLASSES).view(BATCH, 1)
        noise = 0.3 * torch.randn(BATCH, FEATURES, generator=self.generator)
        inputs = self.centers[one_hot_indices.view(-1)] + noise
        labels = torch.zeros(BATCH, CLASSES).scatter_(1, one_hot_indices, 1)
        return inputs, labels

    def train(self):
        name = rpc.get_worker_info().name
        m = self.ps_rref.rpc_sync().get_model()
        losses = []
        for _ in range(args.updates):
            inputs, labels = self.get_next_batch()
            loss = self.loss_fn(m(inputs), labels)
            loss.backward()
            losses.append(loss.item())
            m = rpc.rpc_sync(
                self.ps_rref.owner(),
                BatchUpdateParameterServer.update_and_fetch_model,
                args=(self.ps_rref, [p.grad for p in m.cpu().parameters()]),
            )
        print(f"{name} loss {losses[0]:.4f} to {losses[-1]:.4f}", flush=True)
        return m.state_dict()


def run_trainer(ps_rref, seed):
    return Trainer(ps_rref, seed).train()


def run_ps(trainers):
    ps_rref = rpc.RRef(BatchUpdateParameterServer(len(trainers)))
    futs = []
    for k, trainer in enumerate(trainers):
        futs.append(rpc.rpc_async(trainer, run_trainer, args=(ps_rref, k)))
    states = torch.futures.wait_all(futs)
    final = ps_rref.local_value().model.state_dict()
    for state in states:  # all trainers ended with the server's model
        for name, value in final.items():
            assert torch.equal(value, state[name]), name
    print("all trainers have the model of the server", flush=True)


def run(rank, world_size):
    os.environ.setdefault("MASTER_ADDR", "localhost")
    os.environ.setdefault("MASTER_PORT", "29504")
    options = rpc.TensorPipeRpcBackendOptions(num_worker_threads=16, rpc_timeout=120)
    name = "ps" if rank == 0 else f"trainer{rank}"
    rpc.init_rpc(name, rank=rank, world_size=world_size, rpc_backend_options=options)
    if rank == 0:
        run_ps([f"trainer{r}" for r in range(1, world_size)])
    rpc.shutdown()


if __name__ == "__main__":
    world_size = args.trainers + 1
    mp.spawn(run, args=(world_size,), nprocs=world_size, join=True)
