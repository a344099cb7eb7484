"""Reducer: averages gradients of all workers while backward goes on, bucket by bucket.

backward of worker 0                      backward of worker 1
gradient of the last layer: bucket 0      ...
gradient of the layer before: bucket 1    gradient of the last layer: bucket 0      both: its average
...                                       ...
end of the pass: all averages are there, `.grad` shows them
"""

import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

from nbgrad.autograd import Tensor
from nbgrad.autograd.early import at_end, register_ready
from nbgrad.autograd.sparse import SparseArray
from nbgrad.collectives.plan import Plan
from nbgrad.collectives.process_group import ProcessGroup
from nbgrad.collectives.reducers import ReduceOp
from nbgrad.errors import ProcessGroupError
from nbgrad.parallel.buckets import divided, parts


class Reducer:
    """Sums of the gradients of parameters of one dtype.

    Parameters
    ----------
    pg : ProcessGroup
        The workers; all make the same reducer.
    params : sequence of Tensor
        Leaves, of one floating-point dtype, in the order of the model.
    bucket_bytes : int
        How much is summed at once.
    is_view : bool
        Whether `.grad` shows the shared result itself, read-only: it is valid until the next backward.  Else it is a copy.

    Notes
    -----
    Gradients are not copied into buckets: those in shared memory, 64 KiB and more, are read where backward has left them.
    A parameter has a place in a bucket of the result, and one more bucket, the last, tells who has gradients at all: a
    parameter that has none on any worker keeps what it has.
    """

    def __init__(
        self, pg: ProcessGroup, params: Sequence[Tensor], bucket_bytes: int, is_view: bool
    ):
        self.params, self.is_view = list(params), is_view
        dtype = self.params[0].array.dtype
        shapes = [p.array.shape for p in self.params]
        totals, self.places = divided(
            [p.array.size for p in self.params], dtype.itemsize, bucket_bytes
        )
        self.n_buckets = len(totals)
        n = len(self.params)
        pieces: list[list[tuple[int, int]]] = [[] for _ in totals]
        for at in reversed(self.places):
            pieces[at.bucket].append((at.first, at.size))
        self.plan = Plan(pg, [*totals, n], dtype, ReduceOp.AVG, [*pieces, [(0, n)]])
        self.plan.inputs[-1].fill(0)
        self.numbers = range(n - 1, -1, -1)  # of the parameters' pieces: the last ones come first
        self.copies = parts(self.plan.inputs, self.places, shapes)
        self.found = parts(self.plan.outputs, self.places, shapes)
        self.shown: list[weakref.ref] = []  # gradients that show the last result
        self.scale = 1.0
        self.is_armed = False
        self.peers: list[Reducer] = [self]  # of the same model; a pass begins all of them
        self.reset()
        self.handles = [
            register_ready(p, lambda leaf, k=k: self.ready(k))  # type: ignore[misc]
            for k, p in enumerate(self.params)
        ]

    def reset(self) -> None:
        """No bucket of the next step is begun."""
        self.is_begun = False
        self.has_come = [False] * len(self.params)
        self.n_missing = [0] * self.n_buckets
        for at in self.places:
            self.n_missing[at.bucket] += 1
        self.next = 0  # bucket to be started

    def arm(self, unused: Sequence[int], scale: float) -> None:
        """The next pass that reaches a parameter averages; `unused` are parameters that it does not reach."""
        if self.is_begun:
            error = ProcessGroupError(
                "a backward pass failed after averaging had begun, so the other workers wait for gradients that never come; "
                "start the workers again from their last checkpoint"
            )
            self.plan.give_up(error)
            raise error
        self.is_armed, self.scale, self.unused = True, scale, unused

    def begin(self) -> None:
        """The first gradient of a pass has come."""
        self.is_begun = True
        at_end(self.end)
        self.release()
        for k in self.unused:
            self.take(k)

    def release(self) -> None:
        """Gradients of the step before that are still there get memory of their own."""
        for ref in self.shown:
            tensor = ref()
            if tensor is not None and not tensor.array.flags.writeable:
                tensor.array = tensor.array.copy()
        self.shown.clear()

    def ready(self, k: int) -> None:
        """The gradient of a parameter is whole."""
        if not self.is_armed:
            return
        if not self.is_begun:
            for peer in self.peers:
                peer.begin()
        self.take(k)

    def take(self, k: int) -> None:
        """Let others read a gradient where it lies; start the buckets that are full, in order."""
        if self.has_come[k]:
            return
        self.has_come[k] = True
        gradient, number = self.params[k].grad, self.numbers[k]
        array: Any = None if gradient is None else gradient.array
        if isinstance(array, SparseArray):
            array = array.to_dense()
        if not self.plan.give(number, array):
            np.copyto(self.copies[k], array)
            self.plan.take_back(number)
        self.plan.inputs[-1][k] = gradient is not None
        self.n_missing[self.places[k].bucket] -= 1
        while self.next < self.n_buckets and self.n_missing[self.next] == 0:
            self.next += 1
            self.plan.start()

    def end(self) -> None:
        """The pass is over: what has not come is not there; wait for all averages and show them."""
        for k in range(len(self.params)):
            self.take(k)
        self.plan.start()
        self.plan.finish()
        self.is_armed = False
        self.reset()
        is_used = self.plan.outputs[-1] > 0
        for k, p in enumerate(self.params):
            if is_used[k]:
                self.show(p, self.found[k])

    def show(self, p: Tensor, average: np.ndarray) -> None:
        """Let `.grad` be the average; it stays the same object."""
        if self.scale != 1.0:
            average = average * average.dtype.type(self.scale)
        elif not self.is_view:
            average = average.copy()
        if p.grad is None:
            p.grad = Tensor(average)
        else:
            p.grad.array = average
        if self.is_view and self.scale == 1.0:
            self.shown.append(weakref.ref(p.grad))

    def average(self, gradients: dict) -> None:
        """A distributed pass is over: average this worker's gradients in it, {leaf: gradient}; `.grad` stays as it is."""
        before = [p.grad for p in self.params]
        for p in self.params:
            p.grad = gradients.get(p)
        try:
            self.is_begun = True
            self.release()
            self.end()
        finally:
            for p, grad in zip(self.params, before):
                if p.grad is not None:
                    gradients[p] = p.grad
                p.grad = grad

    def shadow(self) -> None:
        """Take part in a step without gradients: this worker has no batch for it."""
        self.release()
        for number in self.numbers:
            self.plan.give(number, None)
        self.plan.inputs[-1].fill(0)
        for _ in range(self.n_buckets + 1):
            self.plan.start()
        self.plan.finish()

    def close(self) -> None:
        """End it; parameters are as before."""
        self.is_armed = False
        for handle in self.handles:
            handle.remove()
        self.plan.close()
