"""Mail: activations and gradients between the stages of a pipeline, each under a key, in whatever order they arrive.

stage k: post(rank, pipeline, key, tensors) ── one message, no answer ──▶ stage k + 1: wait(key, rank)

A letter is no call: whichever thread pops the message puts it into its box, so a stage that waits has it without any other
thread being woken.
"""

import threading
from typing import Any

from nbgrad import rpc
from nbgrad.autograd import Tensor
from nbgrad.rpc import Future, state
from nbgrad.rpc.api import on_start
from nbgrad.rpc.message import ARRAYS, H0, H1, H2, H3, STAGE

boxes: dict[int, "Mail"] = {}  # of the pipelines of this worker, by their numbers
boxes_lock = threading.Lock()
KINDS = "FB"  # of letters: activations go forward, gradients backward


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


def box(number: int) -> Mail:
    """The letters to the pipeline of that number, which may be made here only later."""
    with boxes_lock:
        return boxes.setdefault(number, Mail())


def close(number: int) -> None:
    """Forget the letters to a pipeline."""
    with boxes_lock:
        boxes.pop(number, None)


def put(number: int, key: tuple, tensors: tuple) -> None:
    """On the receiver: a letter has come."""
    # (not `set_result`: the thread that pops messages looks by itself whether what it waits for is there)
    box(number).future(key).settle(tensors, None)


def on_letter(message: tuple) -> None:
    """On the receiver: the message of a letter; runs with the role held."""
    key = message[H1], KINDS[message[H3]], message[H2]
    put(message[H0], key, tuple([Tensor(array) for array in message[ARRAYS]]))


on_start.append(lambda agent: agent.on(STAGE, on_letter))


@rpc.register
def put_failure(number: int, step: int, error: BaseException) -> None:
    """On the receiver: another stage has failed."""
    box(number).fail(step, error)


def post(rank: int, number: int, key: tuple, tensors: tuple[Tensor, ...]) -> None:
    """Send a letter; large tensors are not copied, and nobody waits until it has arrived."""
    step, kind, micro_batch = key
    arrays = tuple([x.array for x in tensors])
    here: Any = state.agent()
    header = number, step, micro_batch, KINDS.index(kind), 0, 0
    here.post(rank, 0, STAGE, *header, arrays, None)


def here() -> tuple[int, int]:
    """(rank, number of workers) of this worker."""
    agent: Any = state.agent()
    return agent.rank, agent.world
