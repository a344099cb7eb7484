import pytest

import nbgrad as nb
from nbgrad.ops import threads


def test_the_number_can_be_set():
    before = nb.get_num_threads()
    nb.set_num_threads(1)
    assert nb.get_num_threads() == 1
    nb.set_num_threads(before)
    with pytest.raises(ValueError, match="positive"):
        nb.set_num_threads(0)


def test_another_blas_is_told(monkeypatch):
    monkeypatch.setattr(threads, "blas", lambda: None)
    assert nb.get_num_threads() == 1
    with pytest.warns(UserWarning, match="OpenBLAS"):
        nb.set_num_threads(2)
