"""How much faster do two processes train than one, and than two that do not talk to each other?

    shared    nbgrad's SharedParameters; on the other side torch's DistributedDataParallel on gloo, the only form it has
    DDP       nbgrad's DistributedDataParallel, and torch's
    apart     both processes train, each its own model: what two cores can do.  Interleaved with the figure, step by step
    one       this process trains its own model while the other waits

Models, batches (per process) and SGD with momentum are those of models.py; a row is the time of a step, so n samples per
process in t seconds are 2n / t samples/s.  Losses must fall, and both members must have the same parameters at the end of a
block.  The processes above the workers (launcher, supervisor) must sleep: their CPU time is checked.
"""

import os
import time
from pathlib import Path

import common
import numpy as np
from models import LR, MODELS, MOMENTUM, model_of
from pairs import pair_side

BUSY = 0.02  # of a core, that the processes above the workers may take
TICKS = os.sysconf("SC_CLK_TCK")
FIRST_BATCHES = 4


def above():
    """CPU seconds of this process's parent and of the parent's parent, as far as they are of this run."""
    total, pid = 0.0, os.getppid()
    for _ in range(2):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += (int(fields[11]) + int(fields[12])) / TICKS
        pid = int(fields[1])
        if pid <= 1:
            break
    return total


class Trainer:
    """One model, and how a step of it is taken."""

    def __init__(self, lib, name, how):
        shape = MODELS[name][1]
        self.lib, self.how, self.n = lib, how, 0
        self.model = model_of(lib, name)
        rng = np.random.default_rng(1 + lib.dist.get_rank())
        self.batches = [
            lib.tensor(rng.standard_normal(shape).astype(np.float32)) for _ in range(FIRST_BATCHES)
        ]
        self.labels = [lib.tensor(rng.integers(0, 10, shape[0])) for _ in range(FIRST_BATCHES)]
        self.optimizer = lib.optim.SGD(self.model.parameters(), lr=LR, momentum=MOMENTUM)
        self.net, self.step = self.model, self.optimizer.step
        if how == "shared" and lib.framework == "nbgrad":
            self.step = lib.parallel.SharedParameters(self.model, self.optimizer).step
        elif how != "apart":
            self.net = lib.nn.parallel.DistributedDataParallel(
                self.model, gradient_as_bucket_view=True
            )
        losses = [self.train()[1] for _ in range(2 * FIRST_BATCHES)]
        if not sum(losses[FIRST_BATCHES:]) < sum(losses[:FIRST_BATCHES]):
            raise AssertionError(f"{name}, {how}: losses do not fall: {losses}")

    def train(self):
        """One step: ns, loss."""
        k = self.n % FIRST_BATCHES
        self.n += 1
        begin = time.perf_counter_ns()
        self.optimizer.zero_grad()
        loss = self.lib.functional.cross_entropy(self.net(self.batches[k]), self.labels[k])
        loss.backward()
        self.step()
        return time.perf_counter_ns() - begin, loss.item()

    def check(self):
        """Both members have the same parameters."""
        sums = self.lib.tensor([float(p.detach().double().sum()) for p in self.model.parameters()])
        theirs = sums.clone()
        self.lib.dist.broadcast(theirs, 0)
        if not bool((sums == theirs).all()):
            raise AssertionError("the members' parameters differ")


def steps(name, how):
    """Setup of a figure: steps of one model, in turns with steps of two that do not talk."""

    def setup(lib):
        trainers = []

        def block(count):
            if not trainers:  # both members meet here; `setup` runs on each when it likes
                trainers.extend([Trainer(lib, name, how), Trainer(lib, name, "apart")])
            together, apart = trainers
            taken, alone, one = [], [], []
            busy, begun = above(), time.perf_counter()
            for _ in range(count):
                lib.dist.barrier()
                taken.append(together.train()[0])
                lib.dist.barrier()
                alone.append(apart.train()[0])
            lib.dist.barrier()
            if lib.dist.get_rank() == 0:
                one = [apart.train()[0] for _ in range(count)]
            lib.dist.barrier()
            together.check()
            busy, lasted = above() - busy, time.perf_counter() - begun
            if busy > BUSY * lasted + 2 / TICKS:
                raise AssertionError(f"the processes above took {busy:.3f} of {lasted:.3f} s")
            return {"": taken, "apart": alone, "one": one or taken}

        return block

    return setup


FIGURES = [
    common.Figure(f"{name}, {how}", steps(name, how), unit="ms", count=2, rounds=40, quick=2)
    for name in MODELS
    if not name.startswith("LSTM")
    for how in ("shared", "DDP")
]


if __name__ == "__main__":
    common.main(__file__, __doc__, FIGURES, pair_side("data_parallel"), is_group=True)
