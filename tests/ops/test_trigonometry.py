import numpy as np
import pytest

import nbgrad as nb

CASES = [
    ("tan", np.tan, -1, 1), ("asin", np.arcsin, -1, 1), ("acos", np.arccos, -1, 1), ("atan", np.arctan, -5, 5),
    ("sinh", np.sinh, -2, 2), ("cosh", np.cosh, -2, 2), ("asinh", np.arcsinh, -5, 5), ("acosh", np.arccosh, 1, 5),
    ("atanh", np.arctanh, -0.9, 0.9), ("arcsin", np.arcsin, -1, 1), ("arctanh", np.arctanh, -0.9, 0.9),
]  # fmt: skip


@pytest.mark.parametrize(("name", "reference", "low", "high"), CASES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_forward(name, reference, low, high, dtype):
    x = np.linspace(low, high, 12).astype(dtype).reshape(3, 4)
    for array in (x, x.T, x[0, 0]):
        y = getattr(nb.Tensor(np.asarray(array)), name)()
        assert y.dtype == dtype
        np.testing.assert_array_equal(y.array, reference(array))


def test_outside_of_the_domain_and_integers():
    assert nb.isnan(nb.asin(nb.tensor(2.0)))
    assert nb.isnan(nb.acosh(nb.tensor(0.0)))
    assert nb.atan(nb.tensor([1])).dtype == np.float32


def test_atan2():
    y, x = np.array([1.0, -1.0, 0.0]), np.array([[-1.0], [2.0]])
    np.testing.assert_array_equal(nb.atan2(nb.Tensor(y), nb.Tensor(x)).array, np.arctan2(y, x))


def test_hypot_neither_overflows_nor_divides_by_nothing():
    x = nb.tensor([0.0, 3e30, 3.0], requires_grad=True)
    y = nb.tensor([0.0, 4e30, -4.0], requires_grad=True)
    z = nb.hypot(x, y)
    np.testing.assert_array_equal(z.detach().array, np.hypot(x.array, y.array))
    z.sum().backward()
    np.testing.assert_allclose(x.grad.array, [0, 0.6, 0.6], rtol=1e-6)
    np.testing.assert_allclose(y.grad.array, [0, 0.8, -0.8], rtol=1e-6)
