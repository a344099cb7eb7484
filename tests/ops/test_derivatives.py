import numpy as np
import pytest

import nbgrad as nb
from nbgrad.autograd import check_vjp
from nbgrad.autograd.functional import hessian, hvp, jacobian, jvp, vhp, vjp
from nbgrad.errors import GraphError, ShapeError

RNG = np.random.default_rng(0)
A, X, Y = RNG.standard_normal((3, 4)), RNG.standard_normal(4), RNG.standard_normal(3)


def tensors(*arrays):
    return tuple(nb.Tensor(x) for x in arrays)


def product(x):
    return nb.Tensor(A) @ x.sin()


def mixed(x, y):
    return x.sum() * y, (x * x).sum()


def test_vjp_and_jvp():
    whole = A * np.cos(X)
    y, found = vjp(product, *tensors(X, Y))
    np.testing.assert_allclose(y.array, A @ np.sin(X))
    np.testing.assert_allclose(found.array, Y @ whole)
    y, found = jvp(product, *tensors(X, X))
    np.testing.assert_allclose(found.array, whole @ X)
    assert not y.requires_grad
    assert not found.requires_grad


def test_several_inputs_and_outputs():
    x, y = tensors(X, Y)
    (_, _), (x_bar, y_bar) = vjp(mixed, (x, y), tensors(Y, np.array(2.0)))
    np.testing.assert_allclose(x_bar.array, Y @ Y + 4 * X)
    np.testing.assert_allclose(y_bar.array, X.sum() * Y)
    _, (a, b) = jvp(mixed, (x, y), (x, y))
    np.testing.assert_allclose(a.array, X.sum() * Y * 2)
    np.testing.assert_allclose(b.array, 2 * X @ X)
    (xx, xy), (yx, yy) = jacobian(mixed, (x, y))
    np.testing.assert_allclose(xx.array, np.outer(Y, np.ones(4)))
    np.testing.assert_allclose(xy.array, X.sum() * np.eye(3))
    np.testing.assert_allclose(yx.array, 2 * X)
    assert yy.tolist() == [0, 0, 0]


def test_jacobian_of_shapes():
    x = nb.Tensor(RNG.standard_normal((2, 3)))
    found = jacobian(lambda x: x.sum(0), x)
    assert found.shape == (3, 2, 3)
    assert jacobian(lambda x: x[:0], x).shape == (0, 3, 2, 3)
    assert jacobian(lambda x: nb.ones(2), x).tolist() == np.zeros((2, 2, 3)).tolist()
    assert isinstance(jacobian(lambda x: x, (x,)), tuple)


def test_hessian_and_its_products():
    def function(x):
        return (product(x) ** 2).sum()

    x, v = tensors(X, RNG.standard_normal(4))
    whole = hessian(function, x)
    np.testing.assert_allclose(whole.array, whole.array.T, atol=1e-12)
    slope = lambda x: nb.autograd.grad(function(x), x)[0].array  # noqa: E731
    columns = [
        (slope(nb.Tensor(X + 1e-6 * e, True)) - slope(nb.Tensor(X - 1e-6 * e, True))) / 2e-6
        for e in np.eye(4)
    ]
    np.testing.assert_allclose(whole.array, np.array(columns).T, rtol=1e-6, atol=1e-8)
    for form in (hvp, vhp):
        y, found = form(function, x, v)
        np.testing.assert_allclose(y.item(), function(x).item())
        np.testing.assert_allclose(found.array, whole.array @ v.array)


def test_hessian_of_two_inputs():
    (xx, xy), (yx, yy) = hessian(lambda x, y: (x.sum() * y).sum(), tensors(X, Y))
    assert (xx.array == 0).all()
    assert (yy.array == 0).all()
    assert (xy.array == 1).all()
    assert yx.shape == (3, 4)


def test_results_can_be_differentiated():
    x, v = X[:3] * 0.5, RNG.standard_normal(3)
    for form in (vjp, jvp):
        assert check_vjp(lambda a, f=form: f(lambda x: x**3, a, nb.Tensor(v), create_graph=True)[1], x)  # fmt: skip
    assert check_vjp(lambda a: jacobian(lambda x: x**3, a, create_graph=True), x)
    assert check_vjp(lambda a: hessian(lambda x: (x**4).sum(), a, create_graph=True), x)
    assert check_vjp(
        lambda a: hvp(lambda x: (x**4).sum(), a, nb.Tensor(v), create_graph=True)[1], x
    )


def test_strict():
    x = nb.ones(2)
    assert vjp(lambda x: nb.ones(2), x, nb.ones(2))[1].tolist() == [0, 0]
    with pytest.raises(GraphError, match="strict mode"):
        vjp(lambda x: nb.ones(2), x, nb.ones(2), strict=True)
    with pytest.raises(GraphError, match="not have been used"):
        vjp(lambda x, y: x * 2, (x, x), nb.ones(2), strict=True)


def test_mistakes():
    x = nb.ones(2)
    with pytest.raises(ShapeError, match="can only be None"):
        vjp(nb.exp, x)
    with pytest.raises(ShapeError, match="v has size"):
        jvp(nb.exp, x, nb.ones(3))
    with pytest.raises(ShapeError, match="v has 2 tensors"):
        jvp(nb.exp, x, (x, x))
    with pytest.raises(ShapeError, match="single element"):
        hessian(nb.exp, x)
    with pytest.raises(TypeError, match="must be Tensors"):
        jacobian(nb.exp, 1.0)
