import numpy as np
import pytest

import nbgrad as nb
import nbgrad.nn.functional as F  # noqa: N812

X = np.array([-7.0, -3.0, -0.25, 0.25, 3.0, 7.0])
CASES = [
    ("relu6", (), [0, 0, 0, 0.25, 3, 6]),
    ("hardtanh", (), [-1, -1, -0.25, 0.25, 1, 1]),
    ("hardtanh", (-2.0, 4.0), [-2, -2, -0.25, 0.25, 3, 4]),
    ("hardsigmoid", (), [0, 0, 2.75 / 6, 3.25 / 6, 1, 1]),
    ("hardswish", (), [0, 0, -0.25 * 2.75 / 6, 0.25 * 3.25 / 6, 3, 7]),
    ("hardshrink", (), [-7, -3, 0, 0, 3, 7]),
    ("softshrink", (1.0,), [-6, -2, 0, 0, 2, 6]),
    ("threshold", (1.0, 9.0), [9, 9, 9, 9, 3, 7]),
]


@pytest.mark.parametrize(("name", "options", "expected"), CASES)
def test_forward(name, options, expected):
    y = getattr(F, name)(nb.Tensor(X), *options)
    np.testing.assert_allclose(y.array, expected, atol=1e-15)
    assert getattr(F, name)(nb.Tensor(X.astype(np.float32)), *options).dtype == np.float32
