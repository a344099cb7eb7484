"""A model in two stages on two workers, fed with micro-batches so that both work at the same time.

master (rank 0)              worker1 (stage 1)                  worker2 (stage 2)
x.split(...)             ->  p1.remote().forward(x_rref)    ->  p2.rpc_async().forward(y_rref)
torch.cat(wait_all(...)) <--------------------------------------
one distributed backward pass, one DistributedOptimizer over the parameters of both
"""

import argparse
import os
import threading
import time

import nbgrad as torch
import nbgrad.distributed.autograd as dist_autograd
import nbgrad.distributed.rpc as rpc
import nbgrad.multiprocessing as mp
import nbgrad.nn as nn
import nbgrad.optim as optim
from nbgrad.distributed.optim import DistributedOptimizer
from nbgrad.distributed.rpc import RRef

parser = argparse.ArgumentParser(description="Pipeline of two stages")
parser.add_argument("--batches", type=int, default=6)
parser.add_argument("--batch-size", type=int, default=24)
args = parser.parse_args()

CLASSES, SIZE, WIDTH = 3, 16, 8


def conv3x3(n_in, n_out, stride=1):
    return nn.Conv2d(n_in, n_out, kernel_size=3, stride=stride, padding=1, bias=False)


class Block(nn.Module):
    """Two convolutions beside a short cut (He et al. 2016)."""

    def __init__(self, inplanes, planes, stride=1):
        super().__init__()
        self.conv1 = conv3x3(inplanes, planes, stride)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = conv3x3(planes, planes)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = None
        if stride != 1 or inplanes != planes:
            self.downsample = nn.Sequential(
                nn.Conv2d(inplanes, planes, kernel_size=1, stride=stride, bias=False),
                nn.BatchNorm2d(planes),
            )

    def forward(self, x):
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return self.relu(out + identity)


class ConvNetBase(nn.Module):
    def __init__(self):
        super().__init__()
        self._lock = threading.Lock()

    def initialise(self):
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(m, nn.BatchNorm2d):
                nn.init.ones_(m.weight)
                nn.init.zeros_(m.bias)

    def parameter_rrefs(self):
        return [RRef(p) for p in self.parameters()]


class Shard1(ConvNetBase):
    def __init__(self, device, width):
        super().__init__()
        torch.manual_seed(1)
        self.device = device
        self.seq = nn.Sequential(
            conv3x3(1, width),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
            Block(width, width),
        ).to(self.device)
        self.initialise()

    def forward(self, x_rref):
        x = x_rref.to_here().to(self.device)
        with self._lock:
            out = self.seq(x)
        return out.cpu()


class Shard2(ConvNetBase):
    def __init__(self, device, width, num_classes=CLASSES):
        super().__init__()
        torch.manual_seed(2)
        self.device = device
        self.seq = nn.Sequential(
            Block(width, 2 * width, stride=2), nn.AdaptiveAvgPool2d((1, 1))
        ).to(self.device)
        self.fc = nn.Linear(2 * width, num_classes).to(self.device)
        self.initialise()

    def forward(self, x_rref):
        x = x_rref.to_here().to(self.device)
        with self._lock:
            out = self.fc(torch.flatten(self.seq(x), 1))
        return out.cpu()


class DistConvNet(nn.Module):
    """The two stages, as one model."""

    def __init__(self, split_size, workers, *args, **kwargs):
        super().__init__()
        self.split_size = split_size
        self.p1_rref = rpc.remote(workers[0], Shard1, args=("cpu", *args), kwargs=kwargs)
        self.p2_rref = rpc.remote(workers[1], Shard2, args=("cpu", *args), kwargs=kwargs)

    def forward(self, xs):
        out_futures = []
        for x in iter(xs.split(self.split_size, dim=0)):
            x_rref = RRef(x)
            y_rref = self.p1_rref.remote().forward(x_rref)
            z_fut = self.p2_rref.rpc_async().forward(y_rref)
            out_futures.append(z_fut)
        return torch.cat(torch.futures.wait_all(out_futures))

    def parameter_rrefs(self):
        remote_params = []
        remote_params.extend(self.p1_rref.remote().parameter_rrefs().to_here())
        remote_params.extend(self.p2_rref.remote().parameter_rrefs().to_here())
        return remote_params


def run_master(split_size):
    model = DistConvNet(split_size, ["worker1", "worker2"], width=WIDTH)
    loss_fn = nn.MSELoss()
    opt = DistributedOptimizer(optim.SGD, model.parameter_rrefs(), lr=0.05)
    torch.manual_seed(3)
    one_hot_indices = torch.LongTensor(args.batch_size).random_(0, CLASSES).view(args.batch_size, 1)
    inputs = torch.randn(args.batch_size, 1, SIZE, SIZE)
    labels = torch.zeros(args.batch_size, CLASSES).scatter_(1, one_hot_indices, 1)
    losses = []
    for _ in range(args.batches):
        with dist_autograd.context() as context_id:
            outputs = model(inputs)
            loss = loss_fn(outputs, labels)
            dist_autograd.backward(context_id, [loss])
            opt.step(context_id)
        losses.append(loss.item())
    print(f"split {split_size}: loss {losses[0]:.4f} to {losses[-1]:.4f}", flush=True)


def run_worker(rank, world_size, num_split):
    os.environ.setdefault("MASTER_ADDR", "localhost")
    os.environ.setdefault("MASTER_PORT", "29505")
    options = rpc.TensorPipeRpcBackendOptions(num_worker_threads=16, rpc_timeout=300)
    name = "master" if rank == 0 else f"worker{rank}"
    rpc.init_rpc(name, rank=rank, world_size=world_size, rpc_backend_options=options)
    if rank == 0:
        run_master(num_split)
    rpc.shutdown()


if __name__ == "__main__":
    world_size = 3
    for split_size in (args.batch_size, args.batch_size // 4):
        tik = time.time()
        mp.spawn(run_worker, args=(world_size, split_size), nprocs=world_size, join=True)
        print(f"split size = {split_size}, execution time = {time.time() - tik:.2f} s")
