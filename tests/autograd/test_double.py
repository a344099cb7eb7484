import numpy as np
import pytest

import nbgrad as nb
from nbgrad.autograd import check_double, grad, op
from nbgrad.autograd.double import has_double
from nbgrad.errors import GraphError


@op(inputs=2)
def product(x, y, needs):
    return x * y, (x, y)


@product.vjp
def product(residuals, g):
    x, y = residuals
    return g * y, g * x


@op
def cube(x):
    return x**3, (x,)


@cube.vjp
def cube(residuals, g):
    (x,) = residuals
    return (g * 3 * x**2,)


@cube.double("0")
def cube(residuals, g):
    (x,) = residuals
    return (g * 3 * x**2,)


def wrong(form, words="0"):
    """A cube whose second form is `form`."""

    @op
    def other(x):
        return x**3, (x,)

    @other.vjp
    def other(residuals, g):
        (x,) = residuals
        return (g * 3 * x**2,)

    return other.double(words)(form)


def leaf(*values):
    return nb.tensor(np.array(values), requires_grad=True)


def test_derivatives_of_any_order():
    x = leaf(2.0)
    d: nb.Tensor = cube(x)
    for expected in (12.0, 12.0, 6.0):
        (d,) = grad(d, x, create_graph=True)
        assert d.item() == expected


def test_results_and_inputs_are_linked():
    x = leaf(0.5)
    y = (x * 1.0).exp()
    (d,) = grad(y, x, create_graph=True)
    (d,) = grad(d, x, create_graph=True)
    assert d.item() == pytest.approx(np.exp(0.5))


def test_an_input_that_needs_no_gradient_is_constant():
    x, c = leaf(2.0), nb.tensor(np.array([3.0]))
    (d,) = grad(x * c * x, x, create_graph=True)
    assert grad(d, x)[0].item() == 6.0


def test_a_leaf_that_has_other_values_since():
    x = leaf(2.0)
    y = cube(x)
    x.array = np.array([100.0])
    (d,) = grad(y, x, create_graph=True)
    assert d.item() == 12.0
    assert grad(d, x)[0].item() == 12.0


def test_without_a_second_form_the_first_derivative_is_right_and_the_second_raises():
    assert not has_double(product.pullback)
    assert has_double(cube.pullback)
    x, y = leaf(2.0), leaf(3.0)
    (d,) = grad(product(x, y), x, create_graph=True)
    assert d.item() == 3.0
    assert d.requires_grad
    with pytest.raises(GraphError, match="op 'product' can be differentiated once only"):
        grad(d, y)


def test_a_graph_can_be_kept_or_freed():
    x = leaf(2.0)
    y = cube(x)
    grad(y, x, create_graph=True)
    grad(y, x, create_graph=True, retain_graph=False)
    with pytest.raises(GraphError, match="second time"):
        grad(y, x, create_graph=True)


def test_the_check_passes_what_is_right():
    assert check_double(cube, np.array([1.0, 2.0]))
    assert check_double(nb.matmul, np.ones((2, 3)), np.ones((3, 2)))


@pytest.mark.parametrize(
    ("form", "words", "message"),
    [
        (lambda residuals, g: (g * 2 * residuals[0] ** 2,), "0", "different gradients"),
        (lambda residuals, g: (g * 3 * residuals[0].detach() ** 2,), "0", "finite differences"),
        (lambda residuals, g: ((g * 3 * residuals[0] ** 2).sum(),), "0", "shape"),
        (lambda residuals, g: ((g * 3 * residuals[0] ** 2).float(),), "0", "float32"),
        (lambda residuals, g: (g * 3 * nb.Tensor(residuals[0]) ** 2,), ".", "finite differences"),
        (lambda residuals, g: (g * 3 * residuals[0] ** 2,), "y", "finite differences"),
    ],
)
def test_the_check_catches_what_is_wrong(form, words, message):
    with pytest.raises(AssertionError, match=message):
        check_double(wrong(form, words), np.array([1.0, 2.0]))


def test_errors_name_the_op():
    def broken(residuals, g):
        raise KeyError("no")

    x = leaf(1.0)
    with pytest.raises(KeyError) as caught:
        grad(wrong(broken)(x), x, create_graph=True)
    assert "'other'" in caught.value.__notes__[0]
