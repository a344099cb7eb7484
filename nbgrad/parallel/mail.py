"""Mail: activations and gradients between the stages of a pipeline, each under a key, in whatever order they arrive.

stage k: post(rank, key, tensors) ── one call, not waited for ──▶ stage k + 1: wait(key, rank)
"""

import threading
from typing import Any

from nbgrad import rpc
from nbgrad.autograd import Tensor
from nbgrad.rpc import Future, state

boxes: dict[str, "Mail"] = {}  # of the pipelines of this worker, by their names
boxes_lock = threading.Lock()


class Mail:
    """The letters to one pipeline on this worker."""

    def __init__(self) -> None:
        self.letters: dict[tuple, Future] = {}
        self.lock = threading.Lock()
        self.failure: tuple[int, BaseException] | None = None  # (step, what a stage raised in it)

    def future(self, key: tuple) -> Future:
        """The letter of that key, whether it has come or not."""
        with self.lock:
            return self.letters.setdefault(key, Future())

    def wait(self, key: tuple, sender: int) -> tuple[Tensor, ...]:
        """The letter, when it is there; this worker's messages are handled meanwhile.

        Raises
        ------
        WorkerDied
            If a worker has ended.
        Exception
            What another stage has raised in this step.
        """
        future = self.future(key)
        future.targets, future.text = 1 << sender, f"the letter {key} of a pipeline"
        if not future.done():
            self.refuse(key)
        try:
            return future.wait()
        finally:
            with self.lock:
                self.letters.pop(key, None)

    def refuse(self, key: tuple) -> None:
        """Raise what another stage has raised in the step of that key: its letters will not come."""
        if self.failure is not None and self.failure[0] == key[0]:
            raise self.failure[1]

    def fail(self, step: int, error: BaseException) -> None:
        """A stage has failed in a step: whoever waits for letters of that step is told."""
        with self.lock:
            self.failure = step, error
            waiting = [f for key, f in self.letters.items() if key[0] == step and not f.done()]
        for future in waiting:
            future.set_exception(error)


def box(name: str) -> Mail:
    """The letters to the pipeline of that name, which may be made here only later."""
    with boxes_lock:
        return boxes.setdefault(name, Mail())


def close(name: str) -> None:
    """Forget the letters to a pipeline."""
    with boxes_lock:
        boxes.pop(name, None)


@rpc.register
def put(name: str, key: tuple, tensors: tuple) -> None:
    """On the receiver: a letter."""
    box(name).future(key).set_result(tensors)


@rpc.register
def put_failure(name: str, step: int, error: BaseException) -> None:
    """On the receiver: another stage has failed."""
    box(name).fail(step, error)


def post(rank: int, name: str, key: tuple, tensors: tuple[Tensor, ...]) -> Future:
    """Send a letter; large tensors are not copied.  The future is done when it has arrived."""
    return rpc.rpc_async(rank, put, args=(name, key, tuple(x.detach() for x in tensors)))


def here() -> tuple[int, int]:
    """(rank, number of workers) of this worker."""
    agent: Any = state.agent()
    return agent.rank, agent.world
