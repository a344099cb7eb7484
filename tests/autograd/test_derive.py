import numpy as np
import pytest

import nbgrad as nb
from nbgrad.autograd import backward, grad
from nbgrad.errors import GraphError, ShapeError


def leaf(*values):
    return nb.tensor(list(values), requires_grad=True)


# ---------------------------------------------------------------- grad


def test_grad_returns_and_touches_nothing():
    x, y = leaf(2.0), leaf(3.0)
    a, b = grad(x * y, [x, y])
    assert (a.item(), b.item()) == (3.0, 2.0)
    assert x.grad is None
    assert not a.requires_grad


def test_what_grad_returns_is_the_callers():
    x, y = leaf(1.0, 2.0), leaf(1.0, 2.0)
    cotangent = nb.ones(2)
    a, b = grad(x + y, [x, y], cotangent)
    a.mul_(5.0)
    assert b.tolist() == cotangent.tolist() == [1.0, 1.0]


def test_several_outputs_and_cotangents():
    x = leaf(1.0, 2.0)
    (g,) = grad([x * x, x.sum()], x, [nb.tensor([1.0, 0.0]), None])
    assert g.tolist() == [3.0, 1.0]
    assert grad(x, x, nb.tensor([5.0, 6.0]))[0].tolist() == [5.0, 6.0]
    assert [g.tolist() for g in grad(x.sum(), [x, x])] == [[1.0, 1.0], [1.0, 1.0]]


def test_unused_inputs():
    x, y = leaf(1.0), leaf(1.0)
    with pytest.raises(GraphError, match="appears to not have been used in the graph"):
        grad(x * 2.0, [x, y], retain_graph=True)
    assert grad(x * 2.0, [x, y], allow_unused=True)[1] is None
    assert grad(x * 2.0, [x, y], materialize_grads=True)[1].tolist() == [0.0]


def test_gradients_of_gradients():
    x = leaf(3.0)
    (g,) = grad(x**3, x, create_graph=True)
    (h,) = grad(g, x, create_graph=True)
    assert (g.item(), h.item(), grad(h, x)[0].item()) == (27.0, 18.0, 6.0)


def test_the_cotangent_may_have_a_graph_of_its_own():
    x, v = leaf(1.0, 2.0), leaf(3.0, 4.0)
    (g,) = grad(x * x, x, v, create_graph=True)
    assert grad(g.sum(), v)[0].tolist() == [2.0, 4.0]
    wide = nb.tensor(np.array([1.0, 1.0]), requires_grad=True)
    (g,) = grad(x * x, x, wide, create_graph=True)
    assert grad(g.sum(), wide)[0].dtype == np.float64


def test_mistakes():
    x = leaf(1.0, 2.0)
    with pytest.raises(GraphError, match="does not require grad"):
        grad(x.sum(), nb.ones(1))
    with pytest.raises(GraphError, match="cannot be empty"):
        grad(x.sum(), [])
    with pytest.raises(ShapeError, match="only for scalar"):
        grad(x, x)
    with pytest.raises(ShapeError, match="one gradient"):
        grad([x, x], x, [nb.ones(2)])
    with pytest.raises(NotImplementedError, match="is_grads_batched"):
        grad(x.sum(), x, is_grads_batched=True)


# ---------------------------------------------------------------- backward


def test_backward_into_chosen_inputs():
    x, y = leaf(2.0), leaf(3.0)
    z = x * y
    (z * z).backward(inputs=[x, z])
    assert x.grad.item() == 36.0
    assert z.grad.item() == 12.0
    assert y.grad is None
    (x * y).backward(inputs=x)
    assert x.grad.item() == 39.0
    with pytest.raises(GraphError, match="cannot be empty"):
        x.sum().backward(inputs=[])


def test_backward_that_creates_a_graph():
    x = leaf(2.0)
    (x**3).backward(create_graph=True)
    assert x.grad.requires_grad
    penalty = (x.grad * x.grad).sum()  # (3 x^2)^2, whose derivative is 36 x^3
    (d,) = grad(penalty, x)
    assert d.item() == 288.0


def test_two_passes_with_a_graph_add_up_in_a_new_object():
    x = leaf(2.0)
    (x * x).backward(create_graph=True)
    first = x.grad
    (x * x).backward(create_graph=True)
    assert first.item() == 4.0
    assert x.grad.item() == 8.0
    assert grad(x.grad, x)[0].item() == 4.0


def test_create_graph_keeps_the_graph():
    x = leaf(2.0)
    y = x * x
    y.backward(create_graph=True)
    y.backward()
    with pytest.raises(GraphError, match="second time"):
        y.backward()


def test_old_names_and_double_backward_through_functions():
    class Cube(nb.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            y = x * x
            ctx.save_for_backward(x, y)
            return y * x

        @staticmethod
        def backward(ctx, g):
            x, _ = ctx.saved_tensors
            return g * 3.0 * x * x

    class Exp(nb.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            y = x.exp()
            ctx.save_for_backward(y)
            return y

        @staticmethod
        def backward(ctx, g):
            (y,) = ctx.saved_tensors
            return g * y

    x = leaf(2.0)
    backward(Cube.apply(x), grad_variables=nb.tensor([2.0]))
    assert x.grad.item() == 24.0
    (g,) = grad(Cube.apply(x), x, create_graph=True)
    assert grad(g, x)[0].item() == 12.0
    (g,) = grad(Exp.apply(x), x, create_graph=True)
    (h,) = grad(g, x, create_graph=True)
    assert h.item() == pytest.approx(np.exp(2.0), rel=1e-6)


def test_a_function_differentiable_once():
    class Once(nb.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        @nb.autograd.function.once_differentiable
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * x * 2.0

    x = leaf(3.0)
    (g,) = grad(Once.apply(x), x, create_graph=True)
    assert g.item() == 6.0
    with pytest.raises(GraphError, match="differentiated once"):
        grad(g, x)
