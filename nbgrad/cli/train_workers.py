"""The training run across processes: stage k on worker k, driven by worker 0.

    worker 0                                     worker 1
    stage 0 ──activations, one call──▶ stage 1
    loss ◀──logits, its reply────────────┘
      │ dist_autograd.backward               one hop: the gradient of the logits goes there,
      └──▶ ... ◀──▶                          that of the activations comes back
    DistributedOptimizer.step                    each worker updates its own parameters

Worker 0 runs the loop, the others only serve.
"""

import time
from pathlib import Path
from typing import Any

import numpy as np

import nbgrad as nb
from nbgrad import dist_autograd, nn, optim, rpc
from nbgrad.cli.train_loop import drive
from nbgrad.cli.train_plan import MOMENTUM, WEIGHT_DECAY, Plan
from nbgrad.cli.train_stages import Stage


def run_stage(stage, x):
    """On the owner of `stage`: its forward."""
    return stage.local_value()(x)


def parameter_rrefs(stage):
    """On the owner of `stage`: references to its parameters."""
    return [rpc.RRef(p) for p in stage.local_value().parameters()]


def stage_values(stage):
    """On the owner of `stage`: the arrays of its parameters."""
    return stage.local_value().values()


class AcrossWorkers:
    """Stage 0 here, the others each on a worker of their own; see `train_loop.System`."""

    def __init__(self, plan: Plan) -> None:
        n = plan.workers
        self.first = Stage(plan.model, 0, n, plan.seed)
        self.others = [
            rpc.remote(f"worker{k}", Stage, args=(plan.model, k, n, plan.seed)) for k in range(1, n)
        ]
        self.parameters = [rpc.RRef(p) for p in self.first.parameters()]
        for stage in self.others:
            self.parameters += rpc.rpc_sync(stage.owner(), parameter_rrefs, args=(stage,))
        self.hop_ns: list[int] = []

    def set_rate(self, lr: float) -> None:
        self.optimizer = optim.DistributedOptimizer(
            optim.SGD, self.parameters, lr=lr, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY
        )

    def forward(self, x: nb.Tensor) -> nb.Tensor:
        x = self.first(x)
        for stage in self.others:
            y = rpc.rpc_sync(stage.owner(), run_stage, args=(stage, x))
            self.time_hop(x, y)
            x = y
        return x

    def time_hop(self, x: Any, y: Any) -> None:
        """Note how long the gradient takes from `y`, the reply of a call, to `x`, its argument."""
        if not x.requires_grad or not y.requires_grad:
            return
        started = 0

        def leaves(g):
            nonlocal started
            started = time.perf_counter_ns()

        def is_back(g):
            self.hop_ns.append(time.perf_counter_ns() - started)

        y.register_hook(leaves)
        x.register_hook(is_back)

    def step(self, x: np.ndarray, y: np.ndarray) -> float:
        with dist_autograd.context() as context_id:
            logits = self.forward(nb.from_numpy(x))
            loss = nn.functional.cross_entropy(logits, nb.from_numpy(y))
            dist_autograd.backward(context_id, [loss])
            self.optimizer.step(context_id)
            return loss.item()

    def logits(self, x: np.ndarray) -> np.ndarray:
        with nb.no_grad():
            return self.forward(nb.from_numpy(x)).detach().numpy()

    def values(self) -> list[np.ndarray]:
        found = self.first.values()
        for stage in self.others:
            found += rpc.rpc_sync(stage.owner(), stage_values, args=(stage,))
        return found

    def figures(self) -> dict[str, Any]:
        owners = [stage.owner() for stage in self.others]
        sent = [rpc.statistics()]
        sent += [rpc.rpc_sync(owner, rpc.statistics) for owner in owners]
        return {
            "hops": len(self.hop_ns),
            "hop_us_median": float(np.median(self.hop_ns)) / 1e3,
            "messages": sum(one.messages for one in sent),
            "bytes_zero_copy": sum(one.bytes_zero_copy for one in sent),
            "bytes_copied": sum(one.bytes_copied for one in sent),
        }


def work(rank: int, plan: Plan, folder: str) -> None:
    """What each worker runs; all but worker 0 only serve."""
    rpc.init_rpc(f"worker{rank}", rank=rank, world_size=plan.workers)
    if rank == 0:
        drive(plan, AcrossWorkers(plan), Path(folder))
    rpc.shutdown()
