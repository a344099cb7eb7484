import numpy as np
import pytest

import nbgrad as nb
from nbgrad.autograd import Function, check_vjp
from nbgrad.errors import DtypeError, GraphError, ShapeError


class Product(Function):
    @staticmethod
    def forward(ctx, x, y, scale):
        ctx.save_for_backward(x, y)
        ctx.scale = scale
        return x * y * scale

    @staticmethod
    def backward(ctx, grad):
        x, y = ctx.saved_tensors
        return grad * y * ctx.scale, grad * x * ctx.scale, None


class Halves(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.set_materialize_grads(Halves.materialize)
        return x[:1], x[1:]

    @staticmethod
    def backward(ctx, first, second):
        Halves.got = (first, second)
        first = nb.zeros(1) if first is None else first
        second = nb.zeros(1) if second is None else second
        return nb.cat([first, second])

    materialize = True


def test_gradients():
    assert check_vjp(lambda x, y: Product.apply(x, y, 2.0), np.ones(3), np.arange(3.0))


def test_forward_records_nothing_inside():
    class Watch(Function):
        @staticmethod
        def forward(ctx, x):
            assert not nb.is_grad_enabled()
            assert ctx.needs_input_grad == (True,)
            return x.clone()

        @staticmethod
        def backward(ctx, grad):
            assert not nb.is_grad_enabled()
            return grad

    x = nb.ones(1, requires_grad=True)
    y = Watch.apply(x)
    assert repr(y.grad_fn) == "<WatchBackward0>"
    y.backward()
    assert x.grad.item() == 1.0


def test_without_inputs_that_need_it_nothing_is_recorded():
    assert Product.apply(nb.ones(1), nb.ones(1), 1.0).node is None
    with nb.no_grad():
        assert Product.apply(nb.ones(1, requires_grad=True), nb.ones(1), 1.0).node is None


@pytest.mark.parametrize("materialize", [True, False])
def test_missing_gradients_are_zeros_or_none(materialize):
    Halves.materialize = materialize
    x = nb.ones(2, requires_grad=True)
    Halves.apply(x)[1].backward()
    assert x.grad.tolist() == [0, 1]
    assert (Halves.got[0] is None) is not materialize


def test_a_second_backward_without_the_saved_tensors():
    x = nb.ones(1, requires_grad=True)
    y = Product.apply(x, x, 1.0)
    y.backward(retain_graph=True)
    y.backward()
    with pytest.raises(GraphError, match="second time"):
        y.backward()


def test_non_differentiable_results():
    class Both(Function):
        @staticmethod
        def forward(ctx, x):
            place = x.argmax()
            ctx.mark_non_differentiable(place)
            return x * 1.0, place

        @staticmethod
        def backward(ctx, grad, _):
            return grad

    y, place = Both.apply(nb.ones(2, requires_grad=True))
    assert y.requires_grad
    assert not place.requires_grad
    y.sum().backward()


def test_mistakes_get_names():
    class TooMany(Product):
        @staticmethod
        def backward(ctx, grad):
            return grad, grad

    with pytest.raises(ShapeError, match=r"incorrect number of gradients \(expected 3, got 2\)"):
        TooMany.apply(nb.ones(1, requires_grad=True), nb.ones(1), 1.0).backward()

    class SavesNumbers(Product):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(3)

    with pytest.raises(DtypeError, match="int"):
        SavesNumbers.apply(nb.ones(1))

    class ReturnsNumber(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.mark_dirty(x) if x.requires_grad else None
            return 3

    with pytest.raises(DtypeError, match="returned int"):
        ReturnsNumber.apply(nb.ones(1))
    with pytest.raises(NotImplementedError):
        ReturnsNumber.apply(nb.ones(1, requires_grad=True))
    with pytest.raises(NotImplementedError, match="forward"):
        Function.apply(nb.ones(1))


def test_the_wrong_shape_of_a_gradient_is_caught():
    class Wrong(Product):
        @staticmethod
        def backward(ctx, grad):
            return nb.ones(5), None, None

    with pytest.raises(ShapeError, match="shape"):
        Wrong.apply(nb.ones(1, requires_grad=True), nb.ones(1), 1.0).backward()
