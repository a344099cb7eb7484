"""Pipeline: a model cut into stages, one per worker, that work on different micro-batches at the same time.

    worker 0: stage 0 ──activations of micro-batch k──▶ worker 1: stage 1 ── ... ──▶ last: loss
              stage 0 ◀──gradient of those───────────── worker 1: stage 1 ◀── ...

All workers of the group make a Pipeline each and call `step` together; each then has the gradients of its own parameters,
and steps its own optimizer.
"""

import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from nbgrad import rpc
from nbgrad.autograd import Tensor
from nbgrad.errors import BackwardError, WorkerDied
from nbgrad.ops import cat
from nbgrad.parallel import mail
from nbgrad.parallel.micro_batches import MicroBatches
from nbgrad.parallel.schedules import SCHEDULES, ideal_bubble

pipelines: WeakValueDictionary[str, "Pipeline"] = WeakValueDictionary()  # of this worker
numbers = (
    count()
)  # of this worker's pipelines: the same on all workers if all make them in the same order


@rpc.register
@dataclass
class StageFigures:
    """What one stage did: one entry per step, times on the clock that all processes of the machine share."""

    began_ns: list[int] = field(default_factory=list)
    ended_ns: list[int] = field(default_factory=list)
    busy_ns: list[int] = field(default_factory=list)
    peak_held: int = 0  # micro-batches whose activations were held at once
    peak_bytes: int = 0  # of the tensors that went into the stage and came out of it, held at once


@dataclass(frozen=True)
class PipelineStatistics:
    """What the steps of a pipeline were like."""

    n_steps: int
    bubble: float  # part of the stages' time that they idled; median of the steps
    ideal_bubble: float  # what it would be if all stages took equally long and messages no time
    busy_ms: tuple[float, ...]  # per stage, median of the steps
    peak_held: tuple[int, ...]  # per stage
    peak_bytes: tuple[int, ...]  # per stage


class Pipeline:
    """One stage of a model, on the worker that runs it.

    Parameters
    ----------
    stage : Module
        This worker's part: takes what the stage before gives, one tensor or a tuple of them.
    n_micro_batches : int
        Into how many pieces a batch is cut, along its first dimension.
    loss_fn : callable, optional
        On the last worker: `loss_fn(output, target)`, the mean over a (micro-)batch.
    schedule : {"1f1b", "gpipe"}
        In which order forwards and backwards run; see `nbgrad.parallel.schedules`.

    Raises
    ------
    ValueError
        If an option makes no sense.
    RpcError
        Before `init_rpc`.

    Notes
    -----
    The gradients are the mean over the micro-batches: those of one process on the whole batch, if all micro-batches have
    the same size.  Batch norm sees micro-batches.  A stage that raises makes `step` raise on all workers.

    Examples
    --------
    On each worker of a group of two::

        stage = nn.Sequential(nn.Linear(64, 256), nn.ReLU()) if rank == 0 else nn.Linear(256, 10)
        pipeline = parallel.Pipeline(stage, n_micro_batches=8, loss_fn=nn.functional.cross_entropy)
        optimizer = optim.SGD(stage.parameters(), lr=0.1)
        for x, y in loader:
            optimizer.zero_grad()
            loss = pipeline.step(x, y)  # a number on the last worker, None on the others
            optimizer.step()
    """

    def __init__(
        self,
        stage: Any,
        n_micro_batches: int,
        loss_fn: Callable | None = None,
        schedule: str = "1f1b",
    ) -> None:
        if schedule not in SCHEDULES:
            raise ValueError(f"schedule is {schedule!r}; one of {', '.join(SCHEDULES)} is wanted")
        if n_micro_batches < 1:
            raise ValueError(f"n_micro_batches is {n_micro_batches}, at least 1 is wanted")
        self.rank, self.n_stages = mail.here()
        self.stage, self.n_micro_batches, self.loss_fn = stage, n_micro_batches, loss_fn
        self.is_first, self.is_last = self.rank == 0, self.rank == self.n_stages - 1
        if self.is_last and loss_fn is None:
            raise ValueError("the last stage needs loss_fn=")
        self.order = SCHEDULES[schedule](self.rank, self.n_stages, n_micro_batches)
        self.number = next(numbers)
        self.name = f"pipeline {self.number}"
        self.box = mail.box(self.number)
        pipelines[self.name] = self
        weakref.finalize(self, mail.close, self.number)
        self.n_inputs = 0  # of the first stage; 0: all that it is given
        self.n_steps = 0
        self.figures = StageFigures()

    def step(self, *inputs: Any) -> float | None:
        """Forward and backward of one batch; adds to the gradients of this stage's parameters.

        Parameters
        ----------
        *inputs : Tensor
            On the first worker what its stage takes, on the last one the target as the last of them.  Others are ignored,
            so all workers may be given the same: inputs, then the target.

        Returns
        -------
        float or None
            On the last worker, the mean of the losses.

        Raises
        ------
        ValueError
            If the batch can't be cut into that many pieces.
        BackwardError
            If another stage has failed; its error is the cause.
        Exception
            What this stage raised.
        """
        begun = time.perf_counter_ns()
        self.n_inputs = max(1, len(inputs) - 1)
        run = MicroBatches(self, self.pieces(inputs))
        try:
            for kind, number in self.order:
                (run.forward if kind == "F" else run.backward)(number)
        except BaseException as error:
            self.tell(error)
            raise
        self.n_steps += 1
        figures = self.figures
        figures.began_ns.append(begun)
        figures.ended_ns.append(time.perf_counter_ns())
        figures.busy_ns.append(run.busy_ns)
        return float(np.mean(run.losses)) if self.is_last else None

    def forward(self, *inputs: Any) -> Tensor | None:
        """Forward of one batch without gradients: the outputs on the last worker, None on the others."""
        self.n_inputs = len(inputs)
        run = MicroBatches(self, self.pieces(inputs), is_training=False)
        outputs = [run.forward(number) for number in range(self.n_micro_batches)]
        self.n_steps += 1
        return cat(outputs) if self.is_last else None

    def pieces(self, inputs: tuple) -> list[tuple]:
        """The inputs of each micro-batch."""
        cut = []
        for x in inputs:
            parts = x.detach().chunk(self.n_micro_batches)
            if len(parts) != self.n_micro_batches:
                raise ValueError(
                    f"a batch of {x.shape[0]} can't be cut into {self.n_micro_batches} micro-batches"
                )
            cut.append(parts)
        return list(zip(*cut)) if cut else [()] * self.n_micro_batches

    def tell(self, error: BaseException) -> None:
        """This stage has failed: the others must not wait for it."""
        if isinstance(error, WorkerDied):
            return  # they see that themselves, and each raises what names the worker
        if isinstance(error, BackwardError) and error.__cause__ is not None:
            return  # they were told by the one that failed first
        told = BackwardError(
            f"stage {self.rank} of {self.name} raised {type(error).__name__}: {error}"
        )
        for rank in range(self.n_stages):
            if rank != self.rank:
                rpc.rpc_async(rank, mail.put_failure, args=(self.number, self.n_steps, told))
        self.n_steps += 1

    def statistics(self) -> PipelineStatistics:
        """What all stages did; may be called on any worker between two steps."""
        parts = [
            self.figures if rank == self.rank else rpc.rpc_sync(rank, figures_of, args=(self.name,))
            for rank in range(self.n_stages)
        ]
        n = min(len(part.busy_ns) for part in parts)
        busy = np.array([part.busy_ns[:n] for part in parts], float).reshape(self.n_stages, n)
        begun = np.array([part.began_ns[:n] for part in parts], float).reshape(self.n_stages, n)
        ended = np.array([part.ended_ns[:n] for part in parts], float).reshape(self.n_stages, n)
        return PipelineStatistics(
            n_steps=n,
            bubble=float(np.median(bubbles(busy, begun, ended))) if n else 0.0,
            ideal_bubble=ideal_bubble(self.n_stages, self.n_micro_batches),
            busy_ms=tuple(float(np.median(row)) / 1e6 if n else 0.0 for row in busy),
            peak_held=tuple(part.peak_held for part in parts),
            peak_bytes=tuple(part.peak_bytes for part in parts),
        )


def bubbles(busy: np.ndarray, begun: np.ndarray, ended: np.ndarray) -> np.ndarray:
    """Part of the stages' time that they idled, per step.

    A step lasts from the end of the one before, or from when the first stage comes to it if that is later: a stage that is
    done early and already waits for the next step idles in this one, and is not to be counted in both.

    Parameters
    ----------
    busy, begun, ended : ndarray, shape (stages, steps), float64
        Time that a stage computed, and when it came and went; one unit for all.

    Returns
    -------
    ndarray, shape (steps,), float64

    Examples
    --------
    Two stages that are busy for 8 of 9, one of them a unit earlier than the other:

    >>> import numpy as np
    >>> from nbgrad.parallel.pipeline import bubbles
    >>> bubbles(np.full((2, 2), 8.0), np.array([[0.0, 9.0], [0.0, 8.0]]), np.array([[9.0, 18.0], [8.0, 17.0]])).round(3)
    array([0.111, 0.111])
    """
    over = ended.max(axis=0)
    first = begun.min(axis=0)
    first[1:] = np.maximum(first[1:], over[:-1])
    return 1.0 - busy.sum(axis=0) / (len(busy) * (over - first))


@rpc.register
def figures_of(name: str) -> StageFigures:
    """On a stage: its figures."""
    return pipelines[name].figures
