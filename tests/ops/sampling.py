"""How samples are made and registered: sample calls of functions, run by the checks of derivatives and the table of operations.

A sample is a function of a `Make`, which makes arrays of float64 in random layouts, and returns (function, *arrays).  The
name is the one under which users find the function: `nb.NAME`, `nn.functional.NAME`, `Tensor.NAME` or `nb.linalg.NAME`.
"""

import numpy as np

import nbgrad as nb
import nbgrad.nn.functional as F  # noqa: N812
from tests.arrays import LAYOUTS, laid_out, values

constants: dict = {}


def fixed(values):
    """The tensor of a list: one and the same at each call, as of a batch that was there before."""
    return constants.setdefault(repr(values), nb.tensor(values))


class Make:
    """Arrays of seeded values, no two of them alike; `m(2, 3)` is one of that shape."""

    def __init__(self, seed, layouts=LAYOUTS):
        self.rng, self.layouts = np.random.default_rng(seed), layouts

    def __call__(self, *shape, low=-2.0, high=2.0, gap=0.1):
        x = values(shape, self.rng.integers(1 << 30), low, high, gap)
        return laid_out(x, self.rng.choice(self.layouts))

    def positive(self, *shape):
        return self(*shape, low=0.5, high=2.0, gap=0)

    def inside(self, *shape, low=0.1, high=0.8):
        return self(*shape, low=low, high=high, gap=0)

    def shape(self, min_side=0):
        """A random shape of 0 to 3 dimensions, zeros among the lengths."""
        return tuple(self.rng.integers(min_side, 4, self.rng.integers(0, 4)).tolist())

    def broadcast(self):
        """Two shapes that fit together: lengths of one of them are replaced by 1, or left out in front."""
        whole = self.shape()
        part = [1 if self.rng.random() < 0.4 else n for n in whole]
        part = part[self.rng.integers(0, len(part) + 1) :]
        return (whole, tuple(part)) if self.rng.random() < 0.5 else (tuple(part), whole)

    def dims(self, ndim):
        """None, one dimension or two."""
        return [None, 0, -1, (0, -1)][self.rng.integers(0, 4 if ndim > 1 else 3)]

    def flag(self):
        return bool(self.rng.random() < 0.5)

    def ints(self, *shape, below):
        return nb.Tensor(self.rng.integers(0, below, shape))


def with_zeros(x, count):
    """x with its first elements 0."""
    x.flat[:count] = 0
    return x


samples = {}


def sample(name):
    """Register a sample under the name of a function; more than one for the same function get a number."""

    def register(make):
        key, n = name, 2
        while key in samples:
            key, n = f"{name} {n}", n + 1
        samples[key] = make
        return make

    return register


def function_of(name):
    """nb.NAME, nn.functional.NAME, Tensor.NAME or nb.linalg.NAME."""
    spaces = (nb, F, nb.Tensor, nb.linalg)
    return next(getattr(space, name) for space in spaces if hasattr(space, name))


def unary(names, draw):
    """Samples of functions of one array of any shape."""
    for name in names.split():
        sample(name)(lambda m, name=name: (function_of(name), draw(m, *m.shape())))


def binary(names, draw):
    """Samples of functions of two arrays that are broadcast, and of two of one shape."""
    for name in names.split():

        def apart(m, name=name):
            x, y = m.broadcast()
            return function_of(name), m(*x), draw(m, *y)

        def alike(m, name=name):
            shape = m.shape()
            return function_of(name), m(*shape), draw(m, *shape)

        sample(name)(apart)
        sample(name)(alike)
