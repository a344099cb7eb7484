import pytest

import nbgrad as nb
from nbgrad.errors import NbgradError


def test_there_is_none():
    assert nb.cuda.is_available() is False
    assert nb.cuda.is_initialized() is False
    assert nb.cuda.device_count() == 0


def test_what_is_harmless_does_nothing():
    nb.cuda.manual_seed(1)
    nb.cuda.manual_seed_all(1)
    nb.cuda.empty_cache()


@pytest.mark.parametrize("use", [nb.cuda.current_device, nb.cuda.synchronize])
def test_what_needs_a_gpu_is_refused(use):
    with pytest.raises(NbgradError, match="CPU only"):
        use()
    with pytest.raises(NbgradError, match="CPU only"):
        nb.cuda.set_device(0)
