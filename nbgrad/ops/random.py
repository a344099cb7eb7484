"""The one random generator of this process, and tensors drawn from it.

`nb.manual_seed` makes everything that nbgrad draws (initial parameters, dropout, `nb.randn`)
repeatable.  Each process has its own generator.  Called in the launcher before the workers start, it
gives each of them a stream of its own, made of the seed and the worker's number; called in a worker it
sets exactly that seed.
"""

import os
from typing import Any

import numpy as np

from nbgrad.autograd.device import check_device
from nbgrad.autograd.dtypes import as_dtype, int64
from nbgrad.autograd.tensor import Tensor
from nbgrad.errors import DtypeError
from nbgrad.group.carry import carry


class Generator:
    """A stream of random numbers; `rng` is NumPy's generator.

    Examples
    --------
    >>> import nbgrad as nb
    >>> g = nb.Generator().manual_seed(1)
    >>> a = nb.rand(2, generator=g)
    >>> b = nb.rand(2, generator=g.manual_seed(1))
    >>> bool((a == b).all())
    True
    """

    def __init__(self, device: Any = None) -> None:
        check_device(device)
        self.is_seeded = False
        self.seed_used = int(np.random.SeedSequence().generate_state(1)[0])
        self.rng = np.random.default_rng(self.seed_used)

    def manual_seed(self, seed: int) -> "Generator":
        """Start the stream anew from a seed; returns the generator."""
        self.is_seeded = True
        self.seed_used = int(seed)
        self.rng = np.random.default_rng(self.seed_used % (1 << 64))  # torch allows negative ones
        return self

    def initial_seed(self) -> int:
        """The seed that the stream started from."""
        return self.seed_used

    def get_state(self) -> dict:
        """Where the stream is, as NumPy describes it."""
        return dict(self.rng.bit_generator.state)

    def set_state(self, state: dict) -> None:
        """Go on from where `get_state` was called."""
        self.rng.bit_generator.state = state


default_generator = Generator()


def draw_new_seed() -> None:
    """In a forked child: a stream of its own, unless the parent chose one.  Workers are forked from one process."""
    if not default_generator.is_seeded:
        default_generator.__init__()  # type: ignore[misc]


def chosen_seed() -> int | None:
    """The seed that the program has chosen for this process, if it has."""
    return default_generator.seed_used if default_generator.is_seeded else None


def seed_worker(seed: int | None, number: int) -> None:
    """In a new worker of a launcher with that seed: a stream of its own, the same in each run."""
    if seed is not None:
        default_generator.manual_seed(seed_of(seed, number))


def seed_of(seed: int, *numbers: int) -> int:
    """A seed of 63 bits made of a seed and of numbers; others give independent streams."""
    mixed = np.random.SeedSequence(seed % (1 << 64), spawn_key=numbers)
    return int(mixed.generate_state(1, np.uint64)[0] >> np.uint64(1))


os.register_at_fork(after_in_child=draw_new_seed)
carry("seed", chosen_seed, seed_worker)


def manual_seed(seed: int) -> Generator:
    """Seed the generator that all draws of this process use.

    Workers that this process starts later get streams of their own, made of this seed and their number.

    Parameters
    ----------
    seed : int
        Any integer.

    Returns
    -------
    Generator

    Examples
    --------
    >>> import nbgrad as nb
    >>> _ = nb.manual_seed(0)
    >>> a = nb.rand(3)
    >>> _ = nb.manual_seed(0)
    >>> bool((a == nb.rand(3)).all())
    True
    """
    return default_generator.manual_seed(seed)


def initial_seed() -> int:
    """The seed of this process's generator.

    Examples
    --------
    >>> import nbgrad as nb
    >>> _ = nb.manual_seed(7)
    >>> nb.initial_seed()
    7
    """
    return default_generator.initial_seed()


def get_rng_state() -> dict:
    """State of this process's generator, for `set_rng_state`."""
    return default_generator.get_state()


def set_rng_state(state: dict) -> None:
    """Continue the stream of random numbers from a state.

    Examples
    --------
    >>> import nbgrad as nb
    >>> state = nb.get_rng_state()
    >>> a = nb.rand(1).item()
    >>> nb.set_rng_state(state)
    >>> nb.rand(1).item() == a
    True
    """
    default_generator.set_state(state)


def as_size(size: tuple) -> tuple:
    """`rand(2, 3)` and `rand((2, 3))` mean the same."""
    if len(size) == 1 and not isinstance(size[0], int | np.integer):
        (size,) = size
    return tuple(int(n) for n in size)


def stream(generator: Generator | None) -> np.random.Generator:
    """NumPy's generator to draw from."""
    return (generator or default_generator).rng


def rand(
    *size: Any,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Uniform numbers in [0, 1).

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.rand(2, 3).shape
    Size([2, 3])
    """
    check_device(device)
    kind = as_dtype(dtype)
    return Tensor(np.asarray(stream(generator).random(as_size(size), kind)), requires_grad)


def randn(
    *size: Any,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Numbers of the standard normal distribution.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.randn(4).dtype
    dtype('float32')
    """
    check_device(device)
    kind = as_dtype(dtype)
    return Tensor(np.asarray(stream(generator).standard_normal(as_size(size), kind)), requires_grad)


def randint(
    low: int,
    high: Any = None,
    size: Any = None,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
) -> Tensor:
    """Integers, each of low .. high - 1 equally likely.

    `randint(high, size)` starts from 0.

    Examples
    --------
    >>> import nbgrad as nb
    >>> bool((nb.randint(5, (100,)) < 5).all())
    True
    """
    check_device(device)
    if size is None:
        low, high, size = 0, low, high
    if high is None or size is None:
        raise DtypeError("randint takes (high, size) or (low, high, size), size being a tuple")
    kind = int64 if dtype is None else as_dtype(dtype)
    return Tensor(np.asarray(stream(generator).integers(low, high, as_size((size,)))).astype(kind))


def randperm(n: int, *, generator: Generator | None = None, device: Any = None) -> Tensor:
    """The integers 0 .. n - 1 in random order.

    Examples
    --------
    >>> import nbgrad as nb
    >>> sorted(nb.randperm(4).tolist())
    [0, 1, 2, 3]
    """
    check_device(device)
    return Tensor(stream(generator).permutation(n).astype(np.int64))


def rand_like(x: Tensor, **options: Any) -> Tensor:
    """Uniform numbers in [0, 1), in the shape and dtype of `x`."""
    return rand(x.array.shape, **({"dtype": x.array.dtype} | options))


def randn_like(x: Tensor, **options: Any) -> Tensor:
    """Standard normal numbers, in the shape and dtype of `x`."""
    return randn(x.array.shape, **({"dtype": x.array.dtype} | options))


def normal(mean: Any, std: Any, size: Any = None, *, generator: Generator | None = None) -> Tensor:
    """Normal numbers of a given mean and standard deviation (numbers or tensors).

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.normal(0.0, 1.0, (2, 2)).shape
    Size([2, 2])
    """
    mean, std = (part.array if isinstance(part, Tensor) else part for part in (mean, std))
    shape = np.broadcast(mean, std).shape if size is None else as_size((size,))
    draws = stream(generator).standard_normal(shape, np.float32)
    return Tensor(np.asarray(mean + std * draws).astype(as_dtype(None), copy=False))


def bernoulli(p: Tensor, *, generator: Generator | None = None) -> Tensor:
    """1 with probability `p`, else 0, element by element.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.bernoulli(nb.tensor([0.0, 1.0]))
    tensor([0., 1.])
    """
    draws = stream(generator).random(p.array.shape)
    return Tensor(np.asarray(draws < p.array).astype(p.array.dtype))
