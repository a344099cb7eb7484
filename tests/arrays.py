"""Hypothesis strategies for float64 arrays: all shapes, all layouts, seeded values."""

import hypothesis.strategies as st
import numpy as np
from hypothesis.extra import numpy as hnp

LAYOUTS = ("plain", "transposed", "strided", "negative")
SEEDS = st.integers(0, 1 << 30)


def values(shape, seed, low=-2.0, high=2.0, gap=0.0):
    """Uniform numbers; none is nearer to 0 than `gap`, where functions may have a kink."""
    x = np.random.default_rng(seed).uniform(low, high, shape)
    return np.asarray(x + gap * np.sign(x))


def laid_out(x, layout):
    """The same values in memory of another layout."""
    if layout == "transposed":
        return np.array(x.T, order="C").T
    if layout == "strided" and x.ndim:
        wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1]))
        wide[..., ::2] = x
        return wide[..., ::2]
    if layout == "negative" and x.ndim:
        return np.ascontiguousarray(x[..., ::-1])[..., ::-1]
    return x


def arrays(shapes=None, low=-2.0, high=2.0, gap=0.0):
    """Arrays of 0 to 3 dimensions, lengths 0 to 4, in any layout."""
    if shapes is None:
        shapes = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
    elif isinstance(shapes, tuple):
        shapes = st.just(shapes)

    def make(shape, seed, layout):
        return laid_out(values(shape, seed, low, high, gap), layout)

    return st.builds(make, shapes, SEEDS, st.sampled_from(LAYOUTS))


@st.composite
def pairs(draw, low=-2.0, high=2.0, gap=0.0):
    """Two arrays that broadcast against each other."""
    shapes = draw(
        hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, min_side=0, max_side=3)
    ).input_shapes
    return [draw(arrays(shape, low, high, gap)) for shape in shapes]


def shapes(min_dims=1, max_dims=3, min_side=1, max_side=4):
    """Shapes without zeros by default."""
    return hnp.array_shapes(
        min_dims=min_dims, max_dims=max_dims, min_side=min_side, max_side=max_side
    )
