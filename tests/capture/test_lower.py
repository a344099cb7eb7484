import numpy as np
import pytest

import nbgrad as nb
from nbgrad.capture.lower import RULES
from tests.capture.steps import batches, check_same

UNARY = ["neg", "relu", "exp", "tanh", "sigmoid"]
BINARY = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "add a number": lambda x, y: x + 0.3,
    "subtract a number": lambda x, y: x - 0.3,
    "mul by a number": lambda x, y: x * 0.3,
    "div by a number": lambda x, y: x / 0.3,
    "x * x": lambda x, y: x * x,
    "div by a constant": lambda x, y: x / y.detach(),
}


def graded(function):
    """Build a step whose result and gradients show the function's bits."""

    def build():
        x = nb.tensor(np.linspace(-4, 4, 2500).reshape(50, 50)).float().requires_grad_()
        y = nb.tensor(np.linspace(3, -3, 2500).reshape(50, 50)).float().requires_grad_()

        def step(scale):
            x.grad = y.grad = None
            z = function(x * scale, y * scale)
            (z * z * scale).sum().backward()
            return z.detach()

        return step, [x, y]

    return build


@pytest.mark.parametrize("name", UNARY)
def test_unary_operations_have_the_same_bits(name):
    step = check_same(graded(lambda x, y: getattr(nb, name)(x)), batches((50, 50)))
    assert step.statistics().instructions > 5


@pytest.mark.parametrize("name", BINARY)
def test_binary_operations_have_the_same_bits(name):
    step = check_same(graded(BINARY[name]), batches((50, 50)))
    assert step.statistics().instructions > 5


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_both_dtypes(dtype):
    def build():
        w = nb.tensor(np.linspace(-1, 1, 7).astype(dtype)).requires_grad_()

        def step(x):
            w.grad = None
            ((w * x).tanh() * 2.0 - w).sum().backward()

        return step, [w]

    step = check_same(build, batches((7,), dtype=dtype))
    # w x, tanh; 2 g, -g, the slope of tanh, a sum: nobody sees the loss, nor what only it is made of
    assert step.statistics().instructions == 6


def test_broadcasting_stays_a_call():
    def build():
        w = nb.ones(3, requires_grad=True)

        def step(x):
            w.grad = None
            (w * x).sum().backward()

        return step, [w]

    assert check_same(build, batches((2, 3))).statistics().instructions == 0


def test_a_gradient_that_nobody_wants_is_not_computed():
    w = nb.ones(3, requires_grad=True)

    @nb.compile
    def step(x):
        w.grad = None
        unused = (w * x).exp()
        (w * x).sum().backward()
        return unused.detach() if False else None

    step(nb.ones(3))
    step(nb.ones(3))
    assert (
        step.statistics().instructions == 1
    )  # the gradient of w; no exp, and no loss that nobody sees


def test_every_rule_is_of_an_operation():
    assert set(RULES) <= set(nb.autograd.op.__globals__["registry"])
