import numba
import numpy as np
import pytest

import nbgrad as nb
from nbgrad.autograd import check_double, check_vjp
from nbgrad.autograd.op import registry
from nbgrad.errors import GraphError, ShapeError


def test_five_lines():
    @numba.njit
    def cube(x):
        return x * x * x

    @numba.njit
    def cube_vjp(g, y, x):
        return g * 3 * x * x

    op = nb.custom_vjp(cube, cube_vjp)
    x = np.linspace(-1, 1, 12).reshape(3, 4)
    for array in (x, x.T, x[::2, ::-1], x[:0], np.float64(2.0).reshape(())):
        assert check_vjp(op, array)
        np.testing.assert_allclose(op(nb.Tensor(array)).array, array**3)
    assert op(2.0).item() == 8.0


def test_loops_two_inputs_and_constants():
    @numba.njit
    def scaled_dot(x, y, factor):
        total = 0.0
        for i in range(x.size):
            total += x[i] * y[i]
        return total * factor

    @numba.njit
    def scaled_dot_vjp(g, total, x, y, factor):
        share = g.item() * factor
        return share * y, share * x

    op = nb.custom_vjp(scaled_dot, scaled_dot_vjp, inputs=2)
    x, y = np.arange(3.0), np.array([2.0, -1.0, 0.5])
    assert op(nb.Tensor(x), nb.Tensor(y), factor=2.0).item() == 2 * (x @ y)
    assert check_vjp(lambda a, b: op(a, b, 3.0), x, y)


def test_many_results_one_of_them_unused():
    def both(x):
        return np.sin(x), np.cos(x)

    def both_vjp(g, y, x):
        return g[0] * y[1] - g[1] * y[0]

    op = nb.custom_vjp(both, both_vjp, many=True)
    x = np.array([0.5, 1.0])
    assert check_vjp(op, x)
    assert check_vjp(lambda a: op(a)[1], x)


def test_as_decorators_and_second_derivatives():
    @nb.custom_vjp
    def square(x):
        return x * x

    def square_vjp(g, y, x):
        return g * x * 2

    op = square(square_vjp)
    x = nb.tensor([3.0], requires_grad=True)
    (g,) = nb.autograd.grad(op(x), x, create_graph=True)
    with pytest.raises(GraphError, match="differentiated once"):
        nb.autograd.grad(g, x)

    @op.double("y 0")
    def op(residuals, g):
        _, x = residuals
        return (g * x * 2,)

    assert check_double(op, np.array([3.0, 1.0]))


def test_the_dtype_of_the_input_comes_back():
    op = nb.custom_vjp(lambda x: x * 2, lambda g, y, x: (g * 2).astype(np.float64))
    x = nb.ones(2, requires_grad=True)
    op(x).sum().backward()
    assert x.grad.dtype == np.float32


def test_names_of_the_package_stay_its_own():
    def relu(x):
        return np.maximum(x, 0)

    before = registry["relu"]
    nb.custom_vjp(relu, lambda g, y, x: g * (x > 0))
    assert registry["relu"] is before


@pytest.mark.parametrize(
    ("vjp", "words"),
    [(lambda g, z, x, y: g, "1 cotangents for 2"), (lambda g, z, x, y: (g, g[:1]), "of shape")],
)
def test_mistakes_of_a_vjp(vjp, words):
    op = nb.custom_vjp(lambda x, y: x * y, vjp)
    x = nb.ones(2, requires_grad=True)
    with pytest.raises(ShapeError, match=words):
        op(x, x).sum().backward()
