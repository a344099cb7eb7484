import pytest

import nbgrad as nb
from nbgrad.autograd.device import check_device
from nbgrad.errors import NbgradError


def test_the_cpu_is_the_only_device():
    assert nb.device("cpu") == nb.ones(1).device == "cpu"
    assert nb.device("cpu:0").index == 0
    assert str(nb.device(nb.device("cpu"))) == "cpu"
    assert len({nb.device("cpu"), nb.device("cpu")}) == 1
    with pytest.raises(NbgradError, match="cuda"):
        nb.device("cuda:0")


def test_check_device():
    check_device(None)
    check_device("cpu")
    check_device(nb.device("cpu"))
    with pytest.raises(NbgradError, match="CPU only"):
        check_device("cuda")
