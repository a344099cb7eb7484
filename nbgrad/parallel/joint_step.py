"""A step that several trainers of a parameter server make together: with the mean of their gradients, when all are there.

    trainer 0   step(context) ──►  gradients of its context ┐
    trainer 1   step(context) ──►  gradients of its context ┴─ mean ── one step ──►  both go on

No thread of the server waits: each call is answered when the last trainer has come.
"""

import copy
import threading
from typing import Any

import numpy as np

from nbgrad.autograd import Tensor
from nbgrad.autograd.grad_mode import no_grad
from nbgrad.autograd.sparse import SparseArray
from nbgrad.dist_autograd import get_gradients
from nbgrad.errors import DesyncError
from nbgrad.optim.optimizer import Optimizer
from nbgrad.rpc import Future


class JointStep:
    """On the server: an optimizer, and the gradients that have come for its next step.

    Parameters
    ----------
    optimizer : Optimizer
        Over the parameters of the model.
    n_trainers : int
        How many make a step.

    Notes
    -----
    Gradients are added in the order of the trainers' numbers, so two runs give the same bits.  A parameter without a
    gradient in any context is left alone; one that has none in some counts as zero there.
    """

    def __init__(self, optimizer: Optimizer, n_trainers: int) -> None:
        self.optimizer, self.n_trainers = optimizer, n_trainers
        self.lock = threading.Lock()
        self.came: dict[int, list] = {}
        self.future: Future = Future()

    def step(self, trainer: int, context_id: int) -> Future:
        """A trainer's gradients are there; the future is done when the step is.

        Raises
        ------
        DesyncError
            If the number is none of a trainer, or that trainer is there already.
        """
        found = get_gradients(context_id)
        gradients = [dense(found.get(p)) for p in self.optimizer.parameters()]
        with self.lock:
            if not 0 <= trainer < self.n_trainers or trainer in self.came:
                raise DesyncError(
                    f"trainer {trainer} came to a step of {self.n_trainers} trainers, where {sorted(self.came)} are already: "
                    f"each needs a number of its own below {self.n_trainers}, and comes once per step"
                )
            self.came[trainer] = gradients
            future = self.future
            if len(self.came) < self.n_trainers:
                return future
            all_of_them = [self.came[k] for k in range(self.n_trainers)]
            self.came, self.future = {}, Future()
            try:
                with no_grad():
                    self.optimizer.step_with([mean(parts) for parts in zip(*all_of_them)])
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(None)
        return future

    def set_options(self, options: dict[str, Any]) -> None:
        """Other options of all groups; the trainers give the same ones."""
        with self.lock:
            for group in self.optimizer.param_groups:
                group.update(options)

    def state_dict(self) -> dict:
        """The optimizer's state, as it is between two steps; a copy."""
        with self.lock:
            return copy.deepcopy(self.optimizer.state_dict())

    def load_state_dict(self, state: dict) -> None:
        """Go on from a state."""
        with self.lock:
            self.optimizer.load_state_dict(state)


def dense(gradient: Tensor | None) -> np.ndarray | None:
    """The array of a gradient."""
    if gradient is None:
        return None
    array: Any = gradient.array
    return array.to_dense() if isinstance(array, SparseArray) else array


def mean(parts: tuple) -> np.ndarray | None:
    """Of the trainers' gradients of one parameter, added in their order; None where nobody has one."""
    found = [part for part in parts if part is not None]
    if not found:
        return None
    total = found[0].copy()
    for part in found[1:]:
        total += part
    total /= len(parts)
    return total
