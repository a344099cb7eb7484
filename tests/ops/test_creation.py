import numpy as np
import pytest

import nbgrad as nb
from nbgrad.errors import DtypeError, NbgradError


def test_values_are_copied_in_c_order():
    a = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    x = nb.tensor(a)
    assert not np.shares_memory(a, x.array)
    assert x.is_contiguous()
    assert x.dtype == np.float64
    assert type(nb.tensor(np.ma.masked_array([1.0])).array) is np.ndarray


def test_dtypes():
    assert nb.tensor([1, 2]).dtype == np.int64
    assert nb.tensor([1, 2.0]).dtype == np.float32
    assert nb.tensor([True]).dtype == np.bool_
    assert nb.tensor([1, 2], dtype=nb.float32).dtype == np.float32
    assert nb.tensor(1.5).shape == ()
    assert nb.tensor([]).shape == (0,)
    assert nb.tensor([1.5], dtype=nb.long).tolist() == [1]
    assert nb.zeros(1, dtype=float).dtype == np.float32  # Python's float means the default


def test_tensors_inside_lists():
    x = nb.tensor([nb.tensor(1.0), nb.tensor(2.0)])
    assert x.tolist() == [1, 2]
    assert nb.tensor(x).array is not x.array
    assert not nb.tensor(nb.ones(1, requires_grad=True)).requires_grad


def test_integers_carry_no_gradient():
    with pytest.raises(DtypeError, match="floating point"):
        nb.tensor([1, 2], requires_grad=True)
    with pytest.raises(NbgradError, match="cuda"):
        nb.zeros(1, device="cuda")


def test_sharing():
    a = np.zeros(3)
    assert nb.from_numpy(a).array is a
    assert nb.as_tensor(a).array is a
    assert nb.as_tensor(a, dtype=nb.float32).dtype == np.float32
    x = nb.ones(1)
    assert nb.as_tensor(x) is x
    assert nb.as_tensor([1.0]).dtype == np.float32
    with pytest.raises(TypeError, match=r"expected np\.ndarray"):
        nb.from_numpy([1])
    with pytest.raises(DtypeError):
        nb.from_numpy(np.zeros(1, np.complex64))


def test_constants():
    assert nb.zeros(2, 3).shape == nb.zeros((2, 3)).shape == nb.zeros([2, 3]).shape == (2, 3)
    assert nb.ones(2).tolist() == [1, 1]
    assert nb.zeros(()).item() == 0
    assert nb.empty(2, 2).shape == (2, 2)
    assert nb.full((2,), 2.5).dtype == np.float32
    assert nb.full((2,), True).dtype == np.bool_
    assert nb.full((2,), nb.tensor(3)).tolist() == [3, 3]
    x = nb.ones(2, dtype=nb.float64)
    for like in (nb.zeros_like(x), nb.ones_like(x), nb.empty_like(x), nb.full_like(x, 2)):
        assert like.dtype == np.float64
        assert like.shape == (2,)
    assert nb.zeros_like(x, dtype=nb.int64, requires_grad=False).dtype == np.int64
    assert nb.eye(2, 3).tolist() == [[1, 0, 0], [0, 1, 0]]


def test_ranges():
    assert nb.arange(3).dtype == np.int64
    assert nb.arange(1, 4, 2).tolist() == [1, 3]
    assert nb.arange(0.0, 1.0, 0.25, requires_grad=True).dtype == np.float32
    assert nb.arange(3, dtype=nb.float64).dtype == np.float64
    assert nb.linspace(0, 1, 5).tolist() == [0, 0.25, 0.5, 0.75, 1]


@pytest.mark.parametrize(
    "make", [nb.tensor, nb.as_tensor, lambda x, dtype: nb.full((1,), x[0], dtype=dtype)]
)
def test_numbers_do_not_go_by_way_of_a_shorter_dtype(make):
    assert make([0.1], dtype=nb.float64).item() == 0.1
