import numpy as np
import pytest

import nbgrad as nb
from nbgrad.autograd.buffers import empty, empty_like, is_sole, writable
from nbgrad.errors import GraphError


def test_empty():
    assert empty((2, 3), np.float32).shape == (2, 3)
    like = empty_like(np.zeros((2, 3)).T)
    assert like.shape == (3, 2)
    assert like.flags.c_contiguous
    assert empty_like(np.zeros(())).shape == ()


def test_writable_refuses_read_only_memory():
    x = nb.ones(2)
    assert writable(x) is x.array
    x.array.flags.writeable = False
    with pytest.raises(GraphError, match="read-only"):
        writable(x)


def test_sole_owner():
    array = np.zeros(3)
    assert is_sole(array, 1)
    other = array
    assert not is_sole(array, 1)
    del other
    holder = [array]
    assert not is_sole(array, 1)
    holder.clear()
    view = array[:2]
    assert not is_sole(array, 1)  # the view refers to it
    assert not is_sole(view, 1)  # `array` is another way to its memory
    del array
    assert is_sole(view, 1)
    view.flags.writeable = False
    assert not is_sole(view, 1)
