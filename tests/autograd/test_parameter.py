import numpy as np
import pytest

import nbgrad as nb
from nbgrad.errors import DtypeError


def test_a_parameter_is_a_leaf_that_requires_grad():
    x = nb.ones(2)
    p = nb.Parameter(x)
    assert p.requires_grad
    assert p.is_leaf
    assert p.array is x.array
    assert nb.nn.Parameter is nb.Parameter
    assert type(p * 2) is nb.Tensor
    p.note = "attributes are free"


def test_constants_may_be_integers():
    assert nb.Parameter(np.zeros(2, np.int64), requires_grad=False).dtype == np.int64
    with pytest.raises(DtypeError, match="floating point"):
        nb.Parameter(np.zeros(2, np.int64))
    assert nb.Parameter().numel() == 0
