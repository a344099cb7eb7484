"""Hogwild: workers step the same parameters whenever they like, without locks and without waiting.

    worker 0   forward, backward of its batch, p -= lr * g          forward, backward ...
    worker 1        forward, backward of its batch, p -= lr * g          forward, backward ...

The parameters lie in shared memory once.  A step reads and writes them element by element, and so do the others': where two
meet, a value of one of them may be lost, which training by small steps forgives.

References
----------
Niu, Recht, Re, Wright 2011, Hogwild!: a lock-free approach to parallelizing stochastic gradient descent.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from nbgrad.collectives import api
from nbgrad.collectives.block import address_of
from nbgrad.collectives.membership import chosen_group
from nbgrad.collectives.operation import Kind
from nbgrad.collectives.world import finish, new_group_of
from nbgrad.errors import ProcessGroupError
from nbgrad.nn import Module
from nbgrad.optim.optimizer import Optimizer
from nbgrad.parallel import memory
from nbgrad.parallel.flat import Flat
from nbgrad.parallel.placement import place
from nbgrad.shm import words


@dataclass(frozen=True)
class HogwildStatistics:
    """What a worker's steps met.

    Attributes
    ----------
    steps : int
        This worker's.
    all_steps : int
        Those of all workers, so far.
    mean_staleness, max_staleness : float, int
        Steps that other workers took between this worker's `zero_grad()` and its step: so many updates the parameters had
        moved on when its gradient was applied.
    histogram : dict of int to int
        How often each staleness was seen.
    """

    steps: int
    all_steps: int
    mean_staleness: float
    max_staleness: int
    histogram: dict[int, int]


class Hogwild:
    """Asynchronous training on shared parameters.

    Parameters
    ----------
    module : Module
        The model; its parameters move to shared memory, with the values that the first worker has.
    optimizer : Optimizer
        Any, over the parameters to train, all float32 or all float64; its state is each worker's own.
    group : ProcessGroup, optional
        The workers; the default group.

    Raises
    ------
    DesyncError
        If workers have different models.
    SharedMemoryFull
        If there is no room.

    Examples
    --------
    >>> import nbgrad as nb
    >>> import nbgrad.distributed as dist
    >>> dist.init_process_group(init_method="tcp://127.0.0.1:29600", rank=0, world_size=1)
    >>> model = nb.nn.Linear(1, 1, bias=False)
    >>> hogwild = nb.parallel.Hogwild(model, nb.optim.SGD(model.parameters(), lr=0.5))
    >>> hogwild.zero_grad()
    >>> model(nb.ones(1, 1)).sum().backward()
    >>> hogwild.step()
    >>> hogwild.statistics().mean_staleness
    0.0
    >>> dist.destroy_process_group()
    """

    def __init__(self, module: Module, optimizer: Optimizer, *, group: Any = None):
        pg = chosen_group(group)
        if pg is None:
            raise ProcessGroupError("Hogwild: this process is not in the group")
        self.module, self.optimizer, self.placement = module, optimizer, place(pg)
        self.group = pg = new_group_of(pg, Kind.agreement)
        try:
            self.params = optimizer.parameters()
            self.flat = Flat(pg, self.params, 0)
            self.counter = memory.common(pg, 64)  # one word: steps of all workers
            if pg.me == 0:
                self.counter[:] = 0
            mine = {id(p) for p in self.params}
            for tensor in [*module.parameters(), *module.buffers()]:
                if id(tensor) not in mine:
                    api.broadcast(tensor, group=pg, group_src=0)
            api.barrier(pg)
            self.flat.move_in(pg.me == 0)
            api.barrier(pg)
        except BaseException:
            finish(pg)
            raise
        self.word = address_of(self.counter)
        self.seen = words.load(self.word)
        self.met: Counter = Counter()

    def zero_grad(self) -> None:
        """Forget the gradients; the next forward reads the parameters as they are from now on."""
        self.optimizer.zero_grad()
        self.seen = words.load(self.word)

    def step(self) -> None:
        """Apply this worker's gradients to the parameters of all, now.

        Raises
        ------
        WorkerDied
            If a worker has died.
        ProcessGroupError
            If a parameter does not lie in shared memory any more.
        """
        self.group.check()
        self.group.session.check("Hogwild training")
        k = self.flat.strayed()
        if k >= 0:
            raise ProcessGroupError(
                f"parameter {k} of shape {tuple(self.params[k].shape)} does not lie in shared memory any more: something has "
                f"given it a new array; change it in place"
            )
        self.optimizer.step()
        self.met[words.fetch_add(self.word, 1) - self.seen] += 1
        self.seen = words.load(self.word)

    def statistics(self) -> HogwildStatistics:
        """What this worker's steps met so far."""
        n = sum(self.met.values())
        total = sum(staleness * count for staleness, count in self.met.items())
        return HogwildStatistics(
            n,
            words.load(self.word),
            total / n if n else 0.0,
            max(self.met, default=0),
            dict(sorted(self.met.items())),
        )

    def barrier(self) -> None:
        """Wait until all workers are here: at the end of training, say."""
        api.barrier(self.group)

    def close(self) -> None:
        """End it; the parameters stay where they are, shared."""
        finish(self.group)
