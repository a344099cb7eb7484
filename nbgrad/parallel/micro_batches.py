"""MicroBatches: one batch on its way through one stage of a pipeline."""

import time
from typing import Any

from nbgrad.autograd import Tensor
from nbgrad.autograd.grad_mode import no_grad
from nbgrad.parallel import mail


class MicroBatches:
    """The micro-batches of one step on this worker.

    Parameters
    ----------
    pipeline : Pipeline
        Whose stage it is.
    pieces : list of tuple
        Inputs and target of each micro-batch, where this worker needs them.
    is_training : bool
        Whether gradients will be asked for.
    """

    def __init__(self, pipeline: Any, pieces: list[tuple], is_training: bool = True) -> None:
        self.pipeline, self.pieces, self.is_training = pipeline, pieces, is_training
        self.held: dict[int, tuple] = {}  # number -> (inputs, outputs or the loss)
        self.losses: list[float] = []
        self.bytes = self.busy_ns = 0

    def forward(self, number: int) -> Any:
        """Inputs, forward, outputs on their way."""
        line = self.pipeline
        inputs = self.inputs(number)
        start = time.perf_counter_ns()
        if self.is_training:
            y = line.stage(*inputs)
            if line.is_last:
                y = line.loss_fn(y, self.pieces[number][-1])
                self.losses.append(y.item())
                y = y / line.n_micro_batches
        else:
            with no_grad():
                y = line.stage(*inputs)
        outputs = y if isinstance(y, tuple) else (y,)
        self.busy_ns += time.perf_counter_ns() - start
        if self.is_training:
            self.hold(number, inputs, outputs)
        if not line.is_last:
            self.post(line.rank + 1, "F", number, outputs)
        return y

    def inputs(self, number: int) -> tuple[Tensor, ...]:
        """What the stage takes: of the batch, or of the stage before."""
        line = self.pipeline
        if line.is_first:
            piece = self.pieces[number]
            return piece[: line.n_inputs or len(piece)]
        key = line.n_steps, "F", number
        got = line.box.wait(key, line.rank - 1)
        if self.is_training:
            for x in got:
                if x.is_floating_point():
                    x.requires_grad_()
        return got

    def backward(self, number: int) -> None:
        """Gradients of the outputs, backward, gradients of the inputs on their way."""
        line = self.pipeline
        inputs, outputs = self.held[number]
        if line.is_last:
            gradients: tuple = (None,)
        else:
            key = line.n_steps, "B", number
            gradients = line.box.wait(key, line.rank + 1)
        start = time.perf_counter_ns()
        floating = [y for y in outputs if y.requires_grad]
        for index, (y, g) in enumerate(zip(floating, gradients)):
            y.backward(g, retain_graph=index < len(floating) - 1)
        self.busy_ns += time.perf_counter_ns() - start
        del self.held[number]
        self.bytes -= size_of(inputs) + size_of(outputs)
        if not line.is_first:
            wanted = [x for x in inputs if x.requires_grad]
            self.post(line.rank - 1, "B", number, tuple(gradient_of(x) for x in wanted))

    def hold(self, number: int, inputs: tuple, outputs: tuple) -> None:
        """Keep a micro-batch for its backward, and count what that takes."""
        figures = self.pipeline.figures
        self.held[number] = inputs, outputs
        self.bytes += size_of(inputs) + size_of(outputs)
        figures.peak_held = max(figures.peak_held, len(self.held))
        figures.peak_bytes = max(figures.peak_bytes, self.bytes)

    def post(self, rank: int, kind: str, number: int, tensors: tuple[Tensor, ...]) -> None:
        """Send to another stage; does not wait."""
        line = self.pipeline
        mail.post(rank, line.number, (line.n_steps, kind, number), tensors)


def gradient_of(x: Tensor) -> Tensor:
    """Of an input; zero where the outputs do not depend on it."""
    return x.detach() * 0 if x.grad is None else x.grad


def size_of(tensors: tuple[Tensor, ...]) -> int:
    """Bytes of their elements."""
    return sum(x.numel() * x.element_size() for x in tensors)
