import numpy as np
import pytest

import nbgrad as nb
from nbgrad.autograd import gradcheck, gradgradcheck, op
from nbgrad.errors import GradcheckError


def leaf(*values):
    return nb.tensor(list(values), dtype=nb.float64, requires_grad=True)


@op
def wrong(x):
    return np.sin(x), (x,)


@wrong.vjp
def wrong(residuals, g):
    return (g * np.cos(residuals[0]) * 1.01,)


@wrong.double("0")
def wrong(residuals, g):
    return (g * residuals[0].cos() * 1.01,)


@op
def wrong_twice(x):
    return np.sin(x), (x,)


@wrong_twice.vjp
def wrong_twice(residuals, g):
    return (g * np.cos(residuals[0]),)


@wrong_twice.double()
def wrong_twice(residuals, g):
    return (g * nb.Tensor(np.cos(residuals[0])),)  # a constant: the second derivative is lost


def test_right_gradients():
    x, y = leaf(0.5, -1.0), leaf(2.0)
    assert gradcheck(lambda a, b: (a * b, a.sin()), (x, y))
    assert gradcheck(nb.exp, x)
    assert gradcheck(lambda a, k: a * k, (x, 3.0))
    assert gradcheck(lambda a: (a * 2, nb.argmax(a)), (x,))
    assert gradcheck(lambda a: a.sum(), nb.zeros(0, dtype=nb.float64, requires_grad=True))
    assert gradgradcheck(lambda a, b: a * b * b, (x, y))
    assert gradgradcheck(nb.exp, x, nb.ones(2, dtype=nb.float64))


def test_wrong_gradients_are_found():
    with pytest.raises(
        GradcheckError, match="Jacobian mismatch for output 0 with respect to input 0"
    ):
        gradcheck(wrong, leaf(0.5, 1.0))
    assert not gradcheck(wrong, leaf(0.5), raise_exception=False)
    assert gradcheck(wrong_twice, leaf(0.5))
    with pytest.raises(GradcheckError, match="mismatch"):
        gradgradcheck(wrong_twice, leaf(0.5))


def test_an_input_that_only_looks_unused():
    with pytest.raises(GradcheckError, match="mismatch"):
        gradcheck(lambda a: a.detach() * 2, (leaf(1.0),))


def test_mistakes():
    with pytest.raises(GradcheckError, match="at least one input"):
        gradcheck(nb.exp, (nb.ones(1),))
    with pytest.raises(GradcheckError, match="float64"):
        gradcheck(nb.exp, (nb.ones(1, requires_grad=True),))


def test_gradients_that_change_from_pass_to_pass():
    drawn = np.random.default_rng(0)

    class Noisy(nb.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2 + float(drawn.random()) * 1e-7

    with pytest.raises(GradcheckError, match="not reentrant"):
        gradcheck(Noisy.apply, leaf(1.0))
    assert gradcheck(Noisy.apply, leaf(1.0), nondet_tol=1e-6)
