"""How far a DataLoader is in its epoch, so that a checkpoint in the middle of one can go on from there.

The order of an epoch is not stored: it is drawn again, from where the generator was when it was drawn first.
"""

from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

from nbgrad.ops import Generator
from nbgrad.ops.random import default_generator


class Progress:
    """One epoch of a loader.

    Attributes
    ----------
    n_batches : int
        Batches handed out.
    is_over : bool
        Nobody will ask for another one.
    """

    def __init__(self) -> None:
        self.n_batches, self.is_over, self.is_resumed = 0, True, False
        self.start: dict | None = None  # the generator's state before the order was drawn
        self.base_seed = 0  # of the workers

    def begin(self, loader: Any) -> "Progress":
        """The epoch that starts now: a new one, or the rest of one that was loaded."""
        if self.is_resumed and not self.is_over:
            self.is_resumed = False
            return self
        new = Progress()
        new.is_over = False
        new.start = source(loader).get_state()
        if loader.num_workers:
            new.base_seed = int(source(loader).rng.integers(1 << 62))
        return new

    def left(self, loader: Any) -> Iterator[Any]:
        """What of the order is left; the generator goes on as if only now the order had been drawn."""
        generator = source(loader)
        after = generator.get_state() if self.n_batches else None
        if after is not None:
            assert self.start is not None, "an epoch that was begun"
            generator.set_state(self.start)
            if loader.num_workers:
                generator.rng.integers(1 << 62)
        indices = islice(loader.indices(), self.n_batches, None)
        first = list(islice(indices, 1))  # samplers draw when the first index is asked for
        if after is not None:
            generator.set_state(after)
        return chain(first, indices)

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {
            "n_batches": self.n_batches,
            "is_over": self.is_over,
            "start": self.start,
            "base_seed": self.base_seed,
        }

    @classmethod
    def loaded(cls, state: dict[str, Any]) -> "Progress":
        """From a checkpoint."""
        made = cls()
        made.n_batches, made.is_over = state["n_batches"], state["is_over"]
        made.start, made.base_seed, made.is_resumed = state["start"], state["base_seed"], True
        return made


def source(loader: Any) -> Generator:
    """Where the loader draws from."""
    return loader.generator or default_generator
