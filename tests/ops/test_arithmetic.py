import numpy as np
import pytest
from hypothesis import given

import nbgrad as nb
from nbgrad.autograd import check_vjp
from nbgrad.errors import ShapeError
from tests.arrays import arrays, pairs

BINARY = [
    (nb.add, np.add),
    (nb.sub, np.subtract),
    (nb.mul, np.multiply),
    (nb.div, np.true_divide),
]


@pytest.mark.parametrize(("op", "reference"), BINARY)
@given(operands=pairs(gap=0.5))
def test_forward_and_vjp_with_broadcasting(op, reference, operands):
    x, y = operands
    z = op(nb.Tensor(x), nb.Tensor(y))
    assert type(z.array) is np.ndarray
    np.testing.assert_array_equal(z.array, reference(x, y))
    assert check_vjp(op, x, y)


@pytest.mark.parametrize(("op", "reference"), BINARY)
@given(x=arrays(gap=0.5), y=arrays((2, 3), gap=0.5))
def test_same_shapes(op, reference, x, y):
    for pair in ((x, np.asarray(x + 0.25)), (y, y[::-1] + 0.25)):
        np.testing.assert_array_equal(op(*map(nb.Tensor, pair)).array, reference(*pair))
        assert check_vjp(op, *pair)


@pytest.mark.parametrize("number", [2.0, 2, True, np.float64(2), np.int64(2)])
def test_numbers_do_not_change_the_dtype(number):
    x = nb.ones(3, requires_grad=True)
    for y in (x + number, number + x, x * number, number * x, x - number, number - x,
              x / number, number / x, x**number, number**x, nb.maximum(x, number)):  # fmt: skip
        assert y.dtype == np.float32
        y.sum().backward()
        assert x.grad.dtype == np.float32


@given(x=arrays(gap=0.5))
def test_vjp_with_numbers(x):
    for f in (
        lambda x: x * 3.0,
        lambda x: 3.0 * x,
        lambda x: x + 3.0,
        lambda x: 3.0 - x,
        lambda x: x / 3.0,
        lambda x: 3.0 / x,
        lambda x: x * 3,
    ):
        assert check_vjp(f, x)


def test_promotion_is_numpys():
    f4, f8, i8 = nb.ones(2), nb.ones(2, dtype=nb.float64), nb.ones(2, dtype=nb.int64)
    assert (f4 + f8).dtype == np.float64
    assert (f4 + i8).dtype == np.float64
    assert (i8 + i8).dtype == np.int64
    assert (i8 / i8).dtype == np.float64
    assert (i8 // 2).tolist() == [0, 0]
    assert (i8 % 2).tolist() == [1, 1]
    assert (2 // i8).tolist() == [2, 2]
    assert (i8 == i8).dtype == np.bool_
    assert (nb.tensor([True]) * f4).dtype == np.float32


def test_gradients_come_back_in_the_dtype_of_the_input():
    x, y = nb.ones(2, requires_grad=True), nb.ones(2, dtype=nb.float64, requires_grad=True)
    (x * y + x / y + x - y).sum().backward()
    assert x.grad.dtype == np.float32
    assert y.grad.dtype == np.float64


def test_shapes_that_do_not_fit():
    with pytest.raises(ShapeError, match=r"\(2,\).*\(3,\)"):
        nb.ones(2) + nb.ones(3)
    with pytest.raises(RuntimeError):
        nb.ones(2) * nb.ones(3)
    with pytest.raises(ValueError, match="broadcast"):
        nb.ones(6).reshape(2, 3) + nb.ones(3, 2)


def test_results_are_the_same_each_time():
    rng = np.random.default_rng(0)
    x, y = (nb.tensor(rng.standard_normal(1001).astype(np.float32)) for _ in range(2))
    first = (x * y + x / y).array
    again = (
        nb.tensor(x.array) * nb.tensor(y.array) + nb.tensor(x.array) / nb.tensor(y.array)
    ).array
    assert first.tobytes() == again.tobytes()


def test_fmod_has_the_sign_of_the_first():
    x, y = np.array([-5.0, 5.0, -5.5]), np.array([3.0, -3.0, 2.0])
    np.testing.assert_array_equal(nb.fmod(nb.Tensor(x), nb.Tensor(y)).array, np.fmod(x, y))
    np.testing.assert_array_equal(nb.fmod(nb.tensor([-5, 5]), 3).array, [-2, 2])
    y = nb.tensor([2.0, 2.0], requires_grad=True)
    nb.fmod(nb.tensor([7.0, -7.0]), y).sum().backward()
    assert y.grad.tolist() == [-3, 3]
