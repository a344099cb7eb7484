import numpy as np
import pytest

import nbgrad as nb
from tests.capture.steps import batches, check_same


def names(step):
    return [type(item).__name__ for item in step.last.plan.items]


@pytest.mark.parametrize("loss_of", [nb.sum, nb.mean])
def test_a_loss_that_nobody_sees_is_not_computed(loss_of):
    def build():
        w = nb.ones(3, requires_grad=True)

        def step(x):
            loss_of((w * x).tanh()).backward()

        return step, [w]

    step = check_same(build, batches((3,)))
    assert names(step) == ["Read", "Read", "Run", "Store"]  # forward and backward in one


def test_a_loss_that_is_returned_is_computed():
    def build():
        w = nb.ones(3, requires_grad=True)

        def step(x):
            loss = (w * x).sum()
            loss.backward()
            return loss

        return step, [w]

    step = check_same(build, batches((3,)))
    assert names(step).count("Op") == 1
    assert names(step).count("Pull") == 0


def test_gradients_of_a_leaf_that_is_summed_are_arrays_of_their_own():
    w = nb.ones(3, requires_grad=True)

    @nb.compile
    def step():
        w.sum().backward()

    step()
    w.grad = None
    step()
    first = w.grad
    first.array[:] = 7.0
    w.grad = None
    step()
    assert w.grad.tolist() == [1, 1, 1]


def test_a_cotangent_that_is_an_argument_is_read_anew():
    def build():
        w = nb.ones(3, requires_grad=True)

        def step(g):
            (w * 2.0).sum().backward(g)

        return step, [w]

    check_same(build, batches(()))


def test_large_cotangents_are_no_memory_of_the_program():
    w = nb.ones(1 << 15, requires_grad=True)
    step = nb.compile(lambda: (w * w).sum().backward())
    step()
    constants = [
        value.constant
        for item in step.last.plan.items
        if hasattr(item, "gets")
        for value in item.gets
    ]
    assert all(array is None or array.nbytes <= 1 << 16 for array in constants)
    assert "Pull" in names(step)


def test_two_leaves_with_one_gradient_get_two_arrays():
    a, b = nb.ones(3, requires_grad=True), nb.ones(3, requires_grad=True)
    step = nb.compile(lambda: ((a + b) * 2.0).sum().backward())
    for _ in range(2):
        a.grad = b.grad = None
        step()
    assert step.reason is None
    assert not np.shares_memory(a.grad.array, b.grad.array)
    assert a.grad.tolist() == b.grad.tolist() == [2, 2, 2]
