"""An optimizer against its formulas, written as a plain loop over one NumPy array."""

import numpy as np

import nbgrad as nb
from nbgrad import nn

ROUNDING = ((np.float64, 1e-12), (np.float32, 2e-5))


def compare(cls, options, reference):
    """`reference(p, grads, **options)` gives the parameter after all steps."""
    rng = np.random.default_rng(0)
    start, grads = rng.standard_normal((5, 3)), rng.standard_normal((8, 5, 3))
    for dtype, rtol in ROUNDING:
        p = nn.Parameter(nb.tensor(start.astype(dtype)))
        optimizer = cls([p], **options)
        for g in grads:
            optimizer.step_with([g.astype(dtype)])
        expected = reference(start.copy(), grads, **options)
        assert not np.allclose(expected, start)
        np.testing.assert_allclose(p.array, expected, rtol=rtol, atol=rtol)
        again = cls([p], **options)
        again.load_state_dict(optimizer.state_dict())
        assert again.state[p]["step"] == len(grads)


def downhill(g, p, maximize, weight_decay):
    return (-g if maximize else g) + weight_decay * p
