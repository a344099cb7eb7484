import numpy as np
import pytest

import nbgrad as nb

X = np.array([[0.25, 0.5], [0.75, 0.9]])


@pytest.mark.parametrize("name", ["exp2", "expm1", "log2", "log10", "square", "sinc"])
def test_forward(name):
    y = getattr(nb.Tensor(X), name)()
    np.testing.assert_allclose(y.array, getattr(np, name)(X), rtol=1e-14)


def test_logit():
    np.testing.assert_allclose(nb.logit(nb.Tensor(X)).sigmoid().array, X)
    assert nb.logit(nb.tensor([0.0, 1.0]), 0.25).tolist() == pytest.approx([-np.log(3), np.log(3)])
    assert nb.isinf(nb.logit(nb.tensor(1.0)))


def test_logaddexp():
    x, y = np.array([1000.0, -1000.0]), np.array([[0.0], [999.0]])
    np.testing.assert_array_equal(
        nb.logaddexp(nb.Tensor(x), nb.Tensor(y)).array, np.logaddexp(x, y)
    )


def test_what_is_special_at_zero():
    x = nb.tensor([0.0, 0.5], requires_grad=True)
    nb.sinc(x).sum().backward()
    assert x.grad[0].item() == 0.0
    y = nb.tensor([0.0, 0.0], requires_grad=True)
    nb.xlogy(nb.tensor([0.0, 1.0]), y).sum()
    assert nb.xlogy(nb.tensor([0.0]), y[:1]).item() == 0.0
