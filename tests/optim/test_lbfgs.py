import numpy as np
import pytest

import nbgrad as nb
from nbgrad import optim
from nbgrad.errors import GraphError


def rosenbrock(w):
    return 100 * (w[1] - w[0] * w[0]) ** 2 + (1 - w[0]) ** 2


def minimised(n_steps, **options):
    w = nb.tensor([-1.2, 1.0], dtype=nb.float64, requires_grad=True)
    optimizer = optim.LBFGS([w], **options)
    losses = []

    def closure():
        optimizer.zero_grad()
        loss = rosenbrock(w)
        loss.backward()
        return loss

    for _ in range(n_steps):
        losses.append(optimizer.step(closure).item())
    return w.detach().numpy(), losses, optimizer


def test_finds_the_minimum_of_a_curved_valley():
    w, losses, _ = minimised(5, line_search_fn="strong_wolfe")
    np.testing.assert_allclose(w, [1.0, 1.0], atol=1e-4)
    assert losses[0] == pytest.approx(24.2)  # the loss at the start of the step
    assert losses[-1] < 1e-8


def test_steps_of_a_fixed_length_get_down_as_well():
    _, losses, _ = minimised(10, lr=0.1)
    assert losses[-1] < losses[0] / 5


def test_two_parameters_and_a_missing_gradient():
    a, b, unused = (nb.ones(n, dtype=nb.float64, requires_grad=True) for n in (2, 3, 1))
    optimizer = optim.LBFGS([a, b, unused], line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = ((a - 2) ** 2).sum() + ((b * b + 1) * b * b).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    np.testing.assert_allclose(a.detach().numpy(), 2.0, atol=1e-6)
    np.testing.assert_allclose(b.detach().numpy(), 0.0, atol=1e-4)
    assert unused.item() == 1.0


def test_no_more_calls_than_allowed():
    _, _, optimizer = minimised(1, max_eval=3, line_search_fn=None)
    (state,) = optimizer.state.values()
    assert state["func_evals"] == 3


def test_mistakes():
    w = nb.zeros(1, requires_grad=True)
    with pytest.raises(GraphError, match="needs a closure"):
        optim.LBFGS([w]).step()
    with pytest.raises(ValueError, match="strong_wolfe"):
        optim.LBFGS([w], line_search_fn="golden")
    with pytest.raises(ValueError, match="parameter groups"):
        optim.LBFGS([{"params": [w]}, {"params": [nb.zeros(1, requires_grad=True)]}])
