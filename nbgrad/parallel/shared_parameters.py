"""SharedParameters: parameters and optimizer state exist once, for all workers; a step is one pass over a slice.

    worker 0                     worker 1
    forward, backward            forward, backward                of their own batches, with the same parameters
    shared.step()       ◄─►      shared.step()                    each updates half of the parameters, from both gradients

Nothing is gathered and nothing copied: a step reads each gradient once, and reads and writes parameter and state once.
"""

import time
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from nbgrad.autograd import Tensor
from nbgrad.autograd.sparse import SparseArray
from nbgrad.autograd.versions import note_write
from nbgrad.collectives import api, rounds
from nbgrad.collectives.block import address_of
from nbgrad.collectives.membership import chosen_group
from nbgrad.collectives.operation import Kind
from nbgrad.collectives.process_group import FIRST_SLICE_NS, IDLE_S, LAST_SLICE_NS, ProcessGroup
from nbgrad.collectives.reducers import ReduceOp, reducer
from nbgrad.collectives.world import agree, finish, new_group_of
from nbgrad.errors import (
    DesyncError,
    DtypeError,
    ProcessGroupError,
    ShapeError,
)
from nbgrad.nn import Module
from nbgrad.optim.optimizer import Optimizer
from nbgrad.parallel import memory, updates
from nbgrad.parallel import step as native
from nbgrad.parallel.agreement import refuse_differences
from nbgrad.parallel.desks import Desks
from nbgrad.parallel.flat import Flat
from nbgrad.parallel.placement import place
from nbgrad.parallel.updates import N_NUMBERS, recipe_of


@dataclass(frozen=True)
class StepStatistics:
    """What this worker did in its steps so far.

    Attributes
    ----------
    steps : int
        Updates.
    bytes_moved : int
        Bytes of gradients, parameters and state that it read and wrote in them.
    waited_s : float
        Seconds between its arrivals and the ends of the steps, its own work among them.
    """

    steps: int
    bytes_moved: int
    waited_s: float


class SharedParameters:
    """Data parallel training over one copy of the parameters.

    Parameters
    ----------
    module : Module
        The model; its parameters move to shared memory, with the values that the first worker has.  Its buffers, and
        parameters that are not trained, get the first worker's values and stay each worker's own.
    optimizer : SGD, Adam or AdamW
        Over the parameters to train, all float32 or all float64.  Its `param_groups` may be changed between steps, on all
        workers alike; its state lies in shared memory, too, so `optimizer.state_dict()` is whole on each worker.
    average : bool
        Whether gradients are averaged over the workers, or added up.
    max_norm : float, optional
        Clip the averaged gradients to this common norm in each step.
    group : ProcessGroup, optional
        The workers; the default group.

    Raises
    ------
    ValueError
        If the optimizer has no form here.
    DesyncError
        If workers have different models or optimizers.
    SharedMemoryFull
        If there is no room.

    Notes
    -----
    Gradients are added in the order of the workers, so two runs give the same bits.  A parameter that has no gradient on any
    worker is left alone; one that has none on some counts as zero there.

    Examples
    --------
    >>> import nbgrad as nb
    >>> import nbgrad.distributed as dist
    >>> dist.init_process_group(init_method="tcp://127.0.0.1:29600", rank=0, world_size=1)
    >>> model = nb.nn.Linear(1, 1, bias=False)
    >>> shared = nb.parallel.SharedParameters(model, nb.optim.SGD(model.parameters(), lr=0.5))
    >>> before = model.weight.item()
    >>> model(nb.ones(1, 1)).sum().backward()
    >>> shared.step()
    >>> round(before - model.weight.item(), 3)
    0.5
    >>> dist.destroy_process_group()
    """

    def __init__(
        self,
        module: Module,
        optimizer: Optimizer,
        *,
        average: bool = True,
        max_norm: float | None = None,
        group: Any = None,
    ):
        pg = chosen_group(group)
        if pg is None:
            raise ProcessGroupError("SharedParameters: this process is not in the group")
        self.module, self.optimizer = module, optimizer
        self.recipe = recipe_of(optimizer)
        self.max_norm = max_norm
        self.group = new_group_of(pg, Kind.agreement)
        try:
            self.set_up(self.group, average)
        except BaseException:
            finish(self.group)
            raise

    # ------------------------------------------------------------ at the start

    def set_up(self, pg: ProcessGroup, average: bool) -> None:
        """Move everything into shared memory; all members do this at once."""
        optimizer, self.placement = self.optimizer, place(pg)
        self.params = optimizer.parameters()
        sizes = [len(group["params"]) for group in optimizer.param_groups]
        told = [
            f"{type(optimizer).__name__} with {sizes} parameters and state {self.recipe.states}"
        ]
        refuse_differences(pg, "the optimizer", told)
        self.flat = Flat(pg, self.params, len(self.recipe.states))
        mine = {id(p) for p in self.params}
        for tensor in [*self.module.parameters(), *self.module.buffers()]:
            if id(tensor) not in mine:
                api.broadcast(tensor, pg.members[0], pg)
        api.barrier(pg)
        self.flat.move_in(pg.me == 0)
        self.factor = 1.0 / pg.size() if average else 1.0
        self.t = [0] * len(self.params)  # updates of each parameter so far
        self.n_steps = self.number = 0
        self.waited_s = 0.0
        self.desk, desks = memory.own(pg, native.TABLE + 8 * len(self.params))
        pg.premises.kept.append(self.desk)  # others may still look at it when this one has left
        self.staging, _ = memory.own(pg, self.flat.values.nbytes)
        self.set_block(pg, desks)
        self.adopt_state()

    def set_block(self, pg: ProcessGroup, desks: list[int]) -> None:
        """The private block of the native step."""
        flat, dtype = self.flat, self.flat.dtype
        rows = native.ROWS >> 3
        self.words = np.zeros(rows + (native.ROW >> 3) * len(self.params), np.int64)
        self.address = address_of(self.words)
        self.rows = self.words[rows:].reshape(len(self.params), native.ROW >> 3)
        self.scratch = np.zeros(rounds.TILE // dtype.itemsize, dtype)
        self.clip_numbers = np.zeros(native.PAIRS + 2 * pg.size(), dtype)
        self.numbers: dict[Any, np.ndarray] = {}
        name, session = dtype.name, pg.session
        state = [address_of(array) for array in flat.states]
        state += [address_of(flat.values)] * (2 - len(state))
        for offset, value in (
            (native.GROUP, pg.block.address),
            (native.SEGMENT, session.base),
            (native.SEGMENT_END, session.base + session.segment.size_bytes),
            (native.STAGING, address_of(self.staging)),
            (native.N_PARAMS, len(self.params)),
            (native.ITEM, dtype.itemsize),
            (native.DTYPE, id(np.dtype(name))),
            (native.NDARRAY, id(np.ndarray)),
            (native.NONE, id(None)),
            (native.FLAT, address_of(flat.values)),
            (native.STATE1, state[0]),
            (native.STATE2, state[1]),
            (native.N_STATES, len(flat.states)),
            (native.FIRST, flat.first_own),
            (native.LAST, flat.last_own),
            (native.SCRATCH, address_of(self.scratch)),
            (native.ADD, reducer(ReduceOp.SUM, dtype, "a step")[0]),
            (native.UPDATE, self.recipe.update.address(name)),
            (native.PAIR_UPDATE, self.recipe.pair.address(name)),
            (native.UNIT, self.recipe.pair.unit(name)),
            (native.CLIP, updates.clip.address(name)),
            (native.SQUARES, updates.add_squares.address(name)),
            (native.MULTIPLY, updates.multiply.address(name)),
            (native.NUMBERS, address_of(self.clip_numbers)),
        ):
            self.words[offset >> 3] = value
        self.words[native.DESKS >> 3 : (native.DESKS >> 3) + len(desks)] = desks
        self.desks = Desks(pg, desks)
        self.rows[:, 0] = flat.first
        self.rows[:, native.SIZE >> 3] = [p.array.size for p in self.params]
        self.publish = native.publish.bind([self.address])
        self.go = native.go.bind([self.address])

    def adopt_state(self) -> None:
        """Let the optimizer's state lie in shared memory, with the values that the first member has; all members do this."""
        api.barrier(self.group)
        states = self.optimizer.state
        counts = [
            int(states.get(p, {}).get("step", 1 if states.get(p) else 0)) for p in self.params
        ]
        self.t = [int(n) for n in agree(self.group, Kind.agreement, counts)[0]]
        for k, p in enumerate(self.params):
            state = states.setdefault(p, {})
            for name, views in zip(self.recipe.states, self.flat.owners[1:]):
                if self.group.me == 0:
                    old = state.get(name)
                    np.copyto(views[k], 0 if old is None else old.array)
                state[name] = Tensor(views[k])
        self.known_state = states
        self.note_steps()
        api.barrier(self.group)

    def note_steps(self) -> None:
        """Put the numbers of updates into the optimizer's state."""
        if self.recipe.update is updates.adam:
            states = self.optimizer.state
            for p, t in zip(self.params, self.t):
                states[p]["step"] = t

    # ------------------------------------------------------------ a step

    def zero_grad(self) -> None:
        """Forget the gradients: the next backward writes new ones."""
        for p in self.params:
            p.grad = None

    def step(self) -> None:
        """Update the parameters with all workers' gradients; returns when all have done so.

        Raises
        ------
        DesyncError
            If workers mean different steps: another learning rate, say.  Nothing is changed then.
        ParametersTorn
            If a worker died while it wrote parameters.
        WorkerDied, CollectiveTimeout, ProcessGroupError
            If a worker died, or did not come; the parameters are as they were before the step, or whole after it.
        """
        pg = self.group
        pg.check()
        k = self.flat.strayed()
        if k >= 0:
            raise ProcessGroupError(
                f"parameter {k} of shape {tuple(self.params[k].shape)} does not lie in shared memory any more: something has "
                f"given it a new array (assigning .data, or Module.to). Change it in place, with copy_ or load_state_dict, or "
                f"make SharedParameters after the conversion"
            )
        if self.optimizer.state is not self.known_state:  # load_state_dict has made a new one
            self.adopt_state()
        gradients = [None if p.grad is None else p.grad.array for p in self.params]
        while (k := self.publish(gradients)) >= 0:
            gradients[k] = self.plain(k, gradients[k])
        native.arrive(self.address, self.prepare())
        begun = time.monotonic()
        self.complete(begun, gradients)
        self.waited_s += time.monotonic() - begun

    def plain(self, k: int, gradient: Any) -> np.ndarray:
        """A gradient in the form that the native step reads."""
        dense = gradient.to_dense() if isinstance(gradient, SparseArray) else gradient
        p = self.params[k].array
        if dense.dtype != p.dtype:
            raise DtypeError(
                f"the gradient of parameter {k} is {dense.dtype}, the parameter {p.dtype}"
            )
        if dense.shape != p.shape:
            raise ShapeError(
                f"the gradient of parameter {k} has shape {dense.shape}, the parameter {p.shape}"
            )
        return np.array(dense, np.dtype(p.dtype.name), order="C")

    def prepare(self) -> int:
        """Write the numbers of this step; its fingerprint."""
        told: list = [self.number, self.max_norm]
        first = 0
        for group_number, group in enumerate(self.optimizer.param_groups):
            last = first + len(group["params"])
            for t in sorted(set(self.t[first:last])):
                numbers = self.recipe.numbers(group, t + 1, self.factor)
                told.append(numbers)
                # A row per group and number of updates: they differ where a parameter had no gradient.
                row = np.zeros(N_NUMBERS, self.flat.dtype)
                self.numbers[group_number, t] = row  # kept until the step is over
                row[: len(numbers)] = numbers
                here = np.array(self.t[first:last]) == t
                self.rows[first:last, native.CONSTANTS >> 3][here] = address_of(row)
            first = last
        self.words[native.CLIPS >> 3] = 0 if self.max_norm is None else 1
        if self.max_norm is not None:
            self.clip_numbers[0], self.clip_numbers[1] = self.max_norm, self.factor
        self.words[native.NUMBER >> 3] = self.number
        return zlib.crc32(repr(told).encode())

    def complete(self, begun: float, gradients: list) -> None:
        """Go on until the step is over."""
        patience, go = FIRST_SLICE_NS, self.go
        try:
            while (result := go(patience)) == rounds.RUNNING:
                waited = time.monotonic() - begun
                self.desks.look(self.number, waited)
                if waited > IDLE_S:
                    patience = min(2 * patience, LAST_SLICE_NS)
        except BaseException as error:
            self.group.give_up(error, (gradients, self.staging))
            raise
        self.number += 1
        if result == rounds.DIFFERENT:
            raise DesyncError(self.difference())
        self.n_steps += 1
        if self.words[native.N_UPDATED >> 3] == len(self.t):
            self.t = [t + 1 for t in self.t]
        else:
            found = self.rows[:, native.FOUND >> 3]
            self.t = [t + 1 if n else t for t, n in zip(self.t, found)]
        self.numbers.clear()
        self.note_steps()
        note_write(self.flat.values, "SharedParameters.step")

    @property
    def total_norm(self) -> float:
        """Norm of the averaged gradients in the last step, before clipping; with `max_norm` only."""
        return float(self.clip_numbers[2])

    def difference(self) -> str:
        """Who differs from whom, after a step that all refused."""
        group, other = self.group, int(self.words[native.OTHER >> 3])
        return (
            f"rank {group.members[0]} and rank {group.members[other]} mean different things by step {self.number - 1} of "
            f"SharedParameters: the options of their optimizers differ (this one has {self.optimizer!r}, max_norm "
            f"{self.max_norm}), or parameters were updated differently often. Nothing was changed; learning rates and their "
            f"schedulers must be the same on all workers"
        )

    # ------------------------------------------------------------ state

    def statistics(self) -> StepStatistics:
        """What this worker has done so far."""
        return StepStatistics(self.n_steps, int(self.words[native.BYTES >> 3]), self.waited_s)

    def state_dict(self) -> dict[str, Any]:
        """`{"module": ..., "optimizer": ...}`, whole on each worker; memory is shared: copy or save it before the next step."""
        return {"module": self.module.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what `state_dict()` returned; all workers do this at once."""
        self.barrier()  # nobody reads parameters any more
        self.module.load_state_dict(state_dict["module"])
        self.optimizer.load_state_dict(state_dict["optimizer"])
        self.adopt_state()

    def barrier(self) -> None:
        """Wait until all workers are here: before and after one of them changes parameters in place, say."""
        api.barrier(self.group)

    def close(self) -> None:
        """End it; parameters and state stay where they are, shared."""
        finish(self.group)
