import numpy as np
import pytest

import nbgrad as nb
from nbgrad.autograd import check_vjp
from nbgrad.errors import GraphError
from nbgrad.ops.inplace_forms import OPERATIONS, forms
from tests.arrays import values

UNARY = (
    "relu exp2 expm1 log2 log10 logit square sinc neg abs exp log log1p sqrt rsqrt reciprocal sin cos tanh sigmoid tril triu "
    "sign floor ceil round erf erfc lgamma digamma tan asin acos atan sinh cosh asinh atanh"
)
X = values((3, 3), 0, 0.2, 0.8)


@pytest.mark.parametrize("name", UNARY.split())
def test_functions_of_one_tensor(name):
    x = nb.Tensor(X.copy())
    array = x.array
    expected = getattr(nb.Tensor(X), name)()
    assert getattr(x, name + "_")() is x
    assert x.array is array
    np.testing.assert_array_equal(array, expected.array)
    if name not in ("sign", "floor", "ceil", "round"):
        assert check_vjp(lambda a: getattr(a * 1.0, name + "_")(), X)


CALLS = [
    ("pow_", (2.0,)), ("clamp_", (0.3, 0.6)), ("clip_", (0.3, 0.6)), ("masked_fill_", (nb.Tensor(X > 0.5), 9.0)),
    ("lerp_", (nb.Tensor(X.T), 0.3)), ("addcmul_", (nb.Tensor(X), nb.Tensor(X.T))), ("floor_divide_", (0.25,)),
    ("remainder_", (0.25,)), ("addmm_", (nb.Tensor(X), nb.Tensor(X))), ("atan2_", (nb.Tensor(X),)), ("gt_", (0.5,)),
    ("scatter_", (0, nb.tensor([[1, 0, 2]]), 5.0)), ("index_add_", (0, nb.tensor([1]), nb.Tensor(X[:1]))),
]  # fmt: skip


@pytest.mark.parametrize(("name", "arguments"), CALLS)
def test_others(name, arguments):
    x = nb.Tensor(X.copy())
    array = x.array
    plain = {"clip_": "clamp_"}.get(name, name)[:-1]
    expected = getattr(nb.Tensor(X), plain)(*arguments)
    getattr(x, name)(*arguments)
    assert x.array is array
    assert array.dtype == np.float64
    np.testing.assert_array_equal(array, expected.array)


def test_operators():
    x = nb.tensor([5.0, 7.0])
    array = x.array
    x **= 2
    x //= 10
    x %= 3
    assert x.array is array
    assert x.tolist() == [2, 1]


def test_shapes_in_place():
    w = nb.ones(2, 3, requires_grad=True)
    x = w * 1.0
    assert x.t_() is x
    assert x.unsqueeze_(0).shape == (1, 3, 2)
    assert x.transpose_(0, 2).squeeze_().shape == (2, 3)
    (x * nb.arange(6.0).reshape(2, 3)).sum().backward()
    assert w.grad.tolist() == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(GraphError, match="leaf"):
        w.t_()
    with nb.no_grad():
        assert w.t_().shape == (3, 2)


def test_every_form_is_a_method_with_a_name():
    for name, method in forms().items():
        assert getattr(nb.Tensor, name).__name__ == name == method.__name__
        assert method.__doc__
    assert sum(len(names.split()) for names in OPERATIONS.values()) > 60
