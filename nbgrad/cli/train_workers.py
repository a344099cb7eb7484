"""The strategy `model`: stage k on worker k, driven by worker 0.

    worker 0                                     worker 1
    stage 0 ──activations, one call──▶ stage 1
    loss ◀──logits, its reply────────────┘
      │ dist_autograd.backward               one hop: the gradient of the logits goes there,
      └──▶ ... ◀──▶                          that of the activations comes back
    DistributedOptimizer.step                    each worker updates its own parameters

Worker 0 runs the loop, the others only serve.
"""

import os
import time
from pathlib import Path
from typing import Any

import numpy as np

import nbgrad as nb
from nbgrad import dist_autograd, optim, rpc
from nbgrad.cli.train_loop import System, drive
from nbgrad.cli.train_placement import described
from nbgrad.cli.train_plan import Plan
from nbgrad.cli.train_stages import Stage
from nbgrad.cli.train_task import Task
from nbgrad.cli.train_tasks import task_of
from nbgrad.parallel import Placement


def stage_of(plan, index):
    """On the owner of a stage: make it."""
    return Stage(task_of(plan), index, plan.workers, plan.seed)


def run_stage(stage, x):
    """On the owner of `stage`: its forward."""
    return stage.local_value()(x)


def parameter_rrefs(stage):
    """On the owner of `stage`: references to its parameters."""
    return [rpc.RRef(p) for p in stage.local_value().parameters()]


def stage_values(stage):
    """On the owner of `stage`: the arrays of its parameters."""
    return stage.local_value().values()


def state_of(stage):
    """On the owner of `stage`: its state, for a checkpoint."""
    return stage.local_value().state_dict()


def load_state(stage, state):
    """On the owner of `stage`: go on from a state."""
    stage.local_value().load_state_dict(state)


def placement():
    """On any worker: where it computes.  The workers take turns, so each may use all cores."""
    return Placement(tuple(sorted(os.sched_getaffinity(0))), False, nb.get_num_threads())


class AcrossWorkers(System):
    """Stage 0 here, the others each on a worker of their own."""

    def __init__(self, task: Task, plan: Plan) -> None:
        n = plan.workers
        self.task, self.first = task, Stage(task, 0, n, plan.seed)
        self.others = [rpc.remote(f"worker{k}", stage_of, args=(plan, k)) for k in range(1, n)]
        self.parameters = [rpc.RRef(p) for p in self.first.parameters()]
        for stage in self.others:
            self.parameters += rpc.rpc_sync(stage.owner(), parameter_rrefs, args=(stage,))
        self.optimizer = optim.DistributedOptimizer(
            task.optimizer, self.parameters, lr=plan.lr, **task.options
        )
        self.rate = plan.lr
        self.hop_ns: list[int] = []

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

    def step(self, x: np.ndarray, y: np.ndarray, rate: float) -> float:
        if rate != self.rate:
            self.optimizer.set_options(lr=rate)
            self.rate = rate
        with dist_autograd.context() as context_id:
            loss = self.task.loss(self.forward(nb.from_numpy(x)), nb.from_numpy(y))
            dist_autograd.backward(context_id, [loss])
            self.optimizer.step(context_id)
            return loss.item()

    def values(self) -> list[np.ndarray]:
        found = self.first.values()
        for stage in self.others:
            found += rpc.rpc_sync(stage.owner(), stage_values, args=(stage,))
        return found

    def state_dict(self) -> dict[str, Any]:
        stages = [self.first.state_dict()]
        stages += [rpc.rpc_sync(s.owner(), state_of, args=(s,)) for s in self.others]
        return {"stages": stages, "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        first, *others = state["stages"]
        self.first.load_state_dict(first)
        for stage, values in zip(self.others, others, strict=True):
            rpc.rpc_sync(stage.owner(), load_state, args=(stage, values))
        self.optimizer.load_state_dict(state["optimizer"])

    def figures(self) -> dict[str, Any]:
        owners = [stage.owner() for stage in self.others]
        sent = [rpc.statistics()]
        sent += [rpc.rpc_sync(owner, rpc.statistics) for owner in owners]
        found = [placement()] + [rpc.rpc_sync(owner, placement) for owner in owners]
        return {
            "placement": described(found),
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
        task = task_of(plan)
        drive(plan, task, AcrossWorkers(task, plan), Path(folder))
    rpc.shutdown()
