import numpy as np
import pytest
from hypothesis import given

import nbgrad as nb
from tests.arrays import pairs

COMPARISONS = [
    (nb.eq, np.equal),
    (nb.ne, np.not_equal),
    (nb.lt, np.less),
    (nb.le, np.less_equal),
    (nb.gt, np.greater),
    (nb.ge, np.greater_equal),
    (nb.logical_and, np.logical_and),
    (nb.logical_or, np.logical_or),
    (nb.logical_xor, np.logical_xor),
]


@pytest.mark.parametrize(("op", "reference"), COMPARISONS)
@given(operands=pairs())
def test_as_numpy(op, reference, operands):
    x, y = (np.asarray(np.round(a)) for a in operands)  # rounded: some are equal
    z = op(nb.Tensor(x, True), nb.Tensor(y))
    assert z.dtype == np.bool_
    assert not z.requires_grad
    np.testing.assert_array_equal(z.array, reference(x, y))


def test_operators():
    x, mask = nb.tensor([1.0, 2.0]), nb.tensor([True, False])
    assert (x > 1).tolist() == [False, True]
    assert (1 < x).tolist() == [False, True]  # noqa: SIM300
    assert (mask & ~mask).tolist() == [False, False]
    assert (mask | ~mask).tolist() == [True, True]
    assert (mask ^ True).tolist() == [False, True]
    assert (nb.tensor([6]) & 3).tolist() == [2]


def test_whole_tensors():
    x = nb.tensor([1.0, float("nan"), float("inf")])
    assert nb.isnan(x).tolist() == [False, True, False]
    assert x.isinf().tolist() == [False, False, True]
    assert x.isfinite().tolist() == [True, False, False]
    assert nb.equal(nb.ones(2), nb.ones(2))
    assert not nb.equal(nb.ones(2), nb.ones(3))
    assert nb.allclose(nb.ones(2), nb.ones(2) + 1e-7)
    assert nb.isclose(nb.ones(2), nb.ones(2)).all()
    assert nb.logical_not(nb.tensor([0, 2])).tolist() == [True, False]
