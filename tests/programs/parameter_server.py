"""A parameter server: the model lives there, trainers run it remotely and step it through DistributedOptimizer.

    trainer (ranks 1, 2, ...)                        parameter server (rank 0)
    rpc.remote(get_parameter_server)             ->  one model for everybody
    server.forward(images)                       ->  the model
    dist_autograd.backward, optimizer.step       ->  gradients of that trainer's context, update

Each process can be started by hand with --rank, as on several machines; without it they are all started here.
"""

import argparse
import os
from threading import Lock

import nbgrad as torch
import nbgrad.distributed.autograd as dist_autograd
import nbgrad.distributed.rpc as rpc
import nbgrad.multiprocessing as mp
import nbgrad.nn as nn
import nbgrad.nn.functional as F
from nbgrad import optim
from nbgrad.distributed.optim import DistributedOptimizer
from nbgrad.utils.data import DataLoader, TensorDataset

CLASSES, SIZE = 4, 12


class Net(nn.Module):
    def __init__(self, num_gpus=0):
        super().__init__()
        self.num_gpus = num_gpus
        device = torch.device("cuda:0" if torch.cuda.is_available() and num_gpus > 0 else "cpu")
        self.conv1 = nn.Conv2d(1, 4, 3, 1).to(device)
        self.conv2 = nn.Conv2d(4, 8, 3, 1).to(device)
        self.dropout1 = nn.Dropout2d(0.05).to(device)
        self.fc1 = nn.Linear(128, 32).to(device)
        self.fc2 = nn.Linear(32, CLASSES).to(device)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        x = F.max_pool2d(x, 2)
        x = self.dropout1(x)
        x = torch.flatten(x, 1)
        x = x.to(next(self.fc1.parameters()).device)
        x = F.relu(self.fc1(x))
        return F.log_softmax(self.fc2(x), dim=1)


def call_method(method, rref, *args, **kwargs):
    return method(rref.local_value(), *args, **kwargs)


def remote_method(method, rref, *args, **kwargs):
    return rpc.rpc_sync(rref.owner(), call_method, args=[method, rref, *args], kwargs=kwargs)


class ParameterServer(nn.Module):
    def __init__(self, num_gpus=0):
        super().__init__()
        torch.manual_seed(1)
        self.model = Net(num_gpus=num_gpus)
        self.input_device = torch.device(
            "cuda:0" if torch.cuda.is_available() and num_gpus > 0 else "cpu"
        )

    def forward(self, inp):
        return self.model(inp.to(self.input_device)).to("cpu")

    def get_dist_gradients(self, context_id):
        cpu_grads = {}
        for param, grad in dist_autograd.get_gradients(context_id).items():
            cpu_grads[param.to("cpu")] = grad.to("cpu")
        return cpu_grads

    def norm_of_gradients(self, context_id):
        grads = self.get_dist_gradients(context_id)
        return sum(grads[p].norm().item() ** 2 for p in self.model.parameters()) ** 0.5

    def get_param_rrefs(self):
        return [rpc.RRef(param) for param in self.model.parameters()]


param_server = None
global_lock = Lock()


def get_parameter_server(num_gpus=0):
    global param_server
    with global_lock:
        if not param_server:
            param_server = ParameterServer(num_gpus=num_gpus)
        return param_server


class TrainerNet(nn.Module):
    def __init__(self, num_gpus=0):
        super().__init__()
        self.num_gpus = num_gpus
        self.param_server_rref = rpc.remote(
            "parameter_server", get_parameter_server, args=(num_gpus,)
        )

    def get_global_param_rrefs(self):
        return remote_method(ParameterServer.get_param_rrefs, self.param_server_rref)

    def forward(self, x):
        return remote_method(ParameterServer.forward, self.param_server_rref, x)


def pictures(n, seed):
    """Noisy pictures of bars: the class says where the bar stands."""
    torch.manual_seed(seed)
    labels = torch.randint(0, CLASSES, (n,))
    images = 0.2 * torch.randn(n, 1, SIZE, SIZE)
    for k in range(n):
        first = 3 * labels[k].item()
        images[k, 0, :, first : first + 3] += 1.0
    return TensorDataset(images, labels)


def run_training_loop(args, rank, num_gpus, train_loader, test_loader):
    net = TrainerNet(num_gpus=num_gpus)
    param_rrefs = net.get_global_param_rrefs()
    opt = DistributedOptimizer(optim.SGD, param_rrefs, lr=0.1)
    for i, (data, target) in enumerate(train_loader):
        with dist_autograd.context() as cid:
            model_output = net(data)
            target = target.to(model_output.device)
            loss = F.nll_loss(model_output, target)
            if i % args.log_interval == 0:
                print(f"Rank {rank} training batch {i} loss {loss.item():.4f}", flush=True)
            dist_autograd.backward(cid, [loss])
            norm = remote_method(ParameterServer.norm_of_gradients, net.param_server_rref, cid)
            assert norm > 0.0
            opt.step(cid)
    print(f"Rank {rank} accuracy {get_accuracy(test_loader, net):.1f} %", flush=True)


def get_accuracy(test_loader, model):
    model.eval()
    correct_sum = 0
    with torch.no_grad():
        for data, target in test_loader:
            out = model(data)
            pred = out.argmax(dim=1, keepdim=True)
            correct_sum += pred.eq(target.view_as(pred)).sum().item()
    return 100.0 * correct_sum / len(test_loader.dataset)


def run_parameter_server(rank, world_size):
    rpc.init_rpc(name="parameter_server", rank=rank, world_size=world_size)
    rpc.shutdown()


def run_worker(args, rank, world_size, num_gpus):
    rpc.init_rpc(name=f"trainer_{rank}", rank=rank, world_size=world_size)
    train_loader = DataLoader(pictures(args.images, rank), batch_size=16, shuffle=True)
    test_loader = DataLoader(pictures(100, 100), batch_size=50, shuffle=False)
    run_training_loop(args, rank, num_gpus, train_loader, test_loader)
    rpc.shutdown()


def main():
    parser = argparse.ArgumentParser(description="Parameter-server RPC training")
    parser.add_argument("--world_size", type=int, default=3)
    parser.add_argument("--rank", type=int, default=None)
    parser.add_argument("--num_gpus", type=int, default=0)
    parser.add_argument("--images", type=int, default=640)
    parser.add_argument("--log_interval", type=int, default=10)
    parser.add_argument("--master_addr", type=str, default="localhost")
    parser.add_argument("--master_port", type=str, default="29503")
    args = parser.parse_args()
    os.environ.setdefault("MASTER_ADDR", args.master_addr)
    os.environ.setdefault("MASTER_PORT", args.master_port)
    processes = []
    for rank in range(args.world_size) if args.rank is None else [args.rank]:
        if rank == 0:
            p = mp.Process(target=run_parameter_server, args=(0, args.world_size))
        else:
            p = mp.Process(target=run_worker, args=(args, rank, args.world_size, args.num_gpus))
        p.start()
        processes.append(p)
    for p in processes:
        p.join()
    if any(p.exitcode for p in processes):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
