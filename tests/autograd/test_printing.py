import numpy as np
import pytest

import nbgrad as nb
from nbgrad.autograd.sparse import SparseArray


@pytest.fixture(autouse=True)
def default_options():
    yield
    nb.set_printoptions(profile="default")


@pytest.mark.parametrize(  # the right-hand sides are PyTorch's
    ("values", "text"),
    [
        ([1.0, 2.5], "tensor([1.0000, 2.5000])"),
        ([1.0, -20.0], "tensor([  1., -20.])"),
        ([1e-5, 1.0], "tensor([1.0000e-05, 1.0000e+00])"),
        ([1.0, 2000.0], "tensor([1.0000e+00, 2.0000e+03])"),
        ([0.0, float("nan"), float("inf")], "tensor([0., nan, inf])"),
        ([float("nan"), -1.5], "tensor([    nan, -1.5000])"),
        ([True, False], "tensor([ True, False])"),
        ([[1, 20], [-3, 4]], "tensor([[ 1, 20],\n        [-3,  4]])"),
        (3.5, "tensor(3.5000)"),
        ([], "tensor([])"),
    ],
)
def test_as_in_pytorch(values, text):
    assert repr(nb.tensor(values)) == text


def test_what_follows_the_values():
    x = nb.tensor([1.0], requires_grad=True)
    assert repr(x) == "tensor([1.], requires_grad=True)"
    assert repr(x * 2) == "tensor([2.], grad_fn=<MulBackward0>)"
    assert repr(nb.zeros(1, dtype=nb.float64)) == "tensor([0.], dtype=float64)"
    assert repr(nb.zeros(0, 3)) == "tensor([], size=(0, 3))"
    assert repr(nb.nn.Parameter(x)).startswith("Parameter containing:\ntensor([1.]")


def test_long_tensors_are_cut():
    text = repr(nb.arange(2000))
    assert text == "tensor([   0,    1,    2,  ..., 1997, 1998, 1999])"


def test_options():
    nb.set_printoptions(precision=2, threshold=4, edgeitems=1)
    assert repr(nb.tensor([0.123, 1.0])) == "tensor([0.12, 1.00])"
    assert repr(nb.arange(5)) == "tensor([0,  ..., 4])"
    nb.set_printoptions(sci_mode=True)
    assert repr(nb.tensor([1.5])) == "tensor([1.50e+00])"


def test_lines_end_at_the_width():
    text = repr(nb.tensor(np.linspace(0, 1, 40).tolist(), requires_grad=True))
    assert max(len(line) for line in text.split("\n")) <= 80


def test_sparse_tensors_print_their_places():
    x = nb.Tensor(SparseArray(np.array([[0, 2]]), np.ones((2, 2)), (3, 2)))
    assert str(x) == (
        "tensor(indices=tensor([[0, 2]]),\n"
        "       values=tensor([[1., 1.],\n"
        "                      [1., 1.]]),\n"
        "       size=(3, 2), nnz=2, layout=sparse_coo, dtype=float64)"
    )
    assert "indices=tensor([], size=(1, 0)" in str(nb.Tensor(x.array.only(slice(0))))
