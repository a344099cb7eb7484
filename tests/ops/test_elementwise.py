import numpy as np

import nbgrad as nb
from nbgrad.autograd import check_double, check_vjp
from nbgrad.ops.elementwise import kinked, of, smooth


@smooth("y", lambda y: 2 * of(y, "sqrt"))
def square_of_positive(x):
    """x squared."""
    return x * x


@kinked(lambda x, at=0.0: np.where(x > at, 3, 1))
def bend(x, at=0.0):
    """A line whose slope changes."""
    return np.where(x > at, 3 * x - 2 * at, x)


def test_one_expression_serves_both_forms():
    x = np.array([[0.5, 1.0], [2.0, 3.0]])
    np.testing.assert_array_equal(square_of_positive(nb.Tensor(x)).array, x * x)
    for array in (x, x.T, x[:0], np.asarray(x[0, 0])):
        assert check_vjp(square_of_positive, array)
        assert check_double(square_of_positive, array)


def test_slopes_of_lines_are_constant():
    x = np.array([-1.0, 0.5, 2.0])
    assert bend(nb.Tensor(x), at=1.0).tolist() == [-1.0, 0.5, 4.0]
    assert check_vjp(bend, x, at=1.0)
    leaf = nb.Tensor(x, True)
    (slope,) = nb.autograd.grad(bend(leaf).sum(), leaf, create_graph=True)
    assert not slope.requires_grad


def test_names_and_documentation_are_the_forwards():
    assert square_of_positive.__name__ == "square_of_positive"
    assert square_of_positive.__doc__ == "x squared."
    assert bend(nb.ones(1, requires_grad=True)).grad_fn.name == "bend"


def test_integers_become_floats_and_float32_stays():
    assert square_of_positive(nb.tensor([2])).dtype == np.float32
    assert bend(nb.tensor([2.0])).dtype == np.float32
