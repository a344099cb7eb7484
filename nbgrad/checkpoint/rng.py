"""The random numbers of this process, as a state that a checkpoint can hold: nbgrad's, NumPy's global ones, Python's."""

import random
from typing import Any

import numpy as np

from nbgrad.ops.random import default_generator


def rng_state() -> dict[str, Any]:
    """Where the three streams are, and the seed that nbgrad's began with.

    Examples
    --------
    >>> import nbgrad as nb
    >>> from nbgrad.checkpoint.rng import rng_state, set_rng_state
    >>> state = rng_state()
    >>> a = nb.rand(1).item()
    >>> set_rng_state(state)
    >>> nb.rand(1).item() == a
    True
    """
    return {
        "seed": default_generator.initial_seed(),
        "is_seeded": default_generator.is_seeded,
        "nbgrad": default_generator.get_state(),
        "numpy": np.random.get_state(legacy=False),  # noqa: NPY002 - programs use the global one
        "python": random.getstate(),
    }


def set_rng_state(state: dict[str, Any]) -> None:
    """Go on from a state that `rng_state` returned."""
    default_generator.seed_used = state["seed"]
    default_generator.is_seeded = state["is_seeded"]
    default_generator.set_state(state["nbgrad"])
    np.random.set_state(state["numpy"])  # noqa: NPY002
    random.setstate(state["python"])
