import numpy as np
import pytest

import nbgrad as nb
from nbgrad.errors import DtypeError, GraphError, ShapeError


def test_a_leaf_hook_sees_the_sum_once_and_may_replace_it():
    x = nb.ones(1, requires_grad=True)
    seen = []

    def double(grad):
        seen.append(grad.item())
        return grad * 2

    x.register_hook(double)
    (x * 3 + x * 4).sum().backward()
    assert seen == [7.0]
    assert x.grad.item() == 14.0


def test_a_hook_on_a_result_changes_what_flows_on():
    x = nb.ones(1, requires_grad=True)
    y = x * 3
    y.register_hook(lambda grad: grad * 10)
    (y + y).sum().backward()
    assert x.grad.item() == 60.0


def test_hooks_run_in_order_and_can_be_removed():
    x = nb.ones(1, requires_grad=True)
    order = []
    first = x.register_hook(lambda grad: order.append("first"))
    x.register_hook(lambda grad: order.append("second"))
    x.sum().backward()
    first.remove()
    first.remove()
    x.sum().backward()
    assert order == ["first", "second", "second"]


def test_a_hook_on_one_of_many_results():
    x = nb.arange(4.0).requires_grad_()
    a, b = x.split(2)
    b.register_hook(lambda grad: grad * 5)
    (a.sum() + b.sum()).backward()
    assert x.grad.tolist() == [1, 1, 5, 5]


def test_retain_grad_sees_the_gradient_after_hooks():
    x = nb.ones(1, requires_grad=True)
    y = x * 2
    y.retain_grad()
    y.register_hook(lambda grad: grad * 3)
    y.sum().backward(retain_graph=True)
    y.sum().backward()
    assert y.grad.item() == 6.0
    x.retain_grad()  # leaves do anyway


def test_retained_gradients_are_copies():
    x = nb.ones(1, requires_grad=True)
    y = x + 1.0
    y.retain_grad()
    y.sum().backward()
    y.grad.mul_(100)
    assert x.grad.item() == 1.0


def test_retain_grad_makes_no_cycle():
    import gc
    import weakref

    gc.disable()
    try:
        y = nb.ones(1, requires_grad=True) * 2
        y.retain_grad()
        watch = weakref.ref(y)
        del y
        assert watch() is None
    finally:
        gc.enable()


def test_what_a_hook_must_not_do():
    with pytest.raises(GraphError, match="doesn't require gradient"):
        nb.ones(1).register_hook(print)
    with pytest.raises(GraphError, match="retain"):
        nb.ones(1).retain_grad()
    x = nb.ones(1, requires_grad=True)
    with x.register_hook(lambda grad: np.ones(1)), pytest.raises(DtypeError, match="ndarray"):
        x.sum().backward()
    with x.register_hook(lambda grad: nb.ones(2)), pytest.raises(ShapeError, match="size of value"):
        x.sum().backward()
