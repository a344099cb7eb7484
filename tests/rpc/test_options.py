"""Options are PyTorch's, and refuse what has no meaning here."""

from datetime import timedelta

import pytest

from nbgrad.rpc import BackendType, TensorPipeRpcBackendOptions


def test_defaults_are_pytorchs():
    options = TensorPipeRpcBackendOptions()
    assert (options.num_worker_threads, options.rpc_timeout, options.init_method) == (
        16,
        60.0,
        "env://",
    )
    assert BackendType.TENSORPIPE.value == "TENSORPIPE"


def test_device_maps_of_the_cpu_are_fine_and_others_refused():
    options = TensorPipeRpcBackendOptions()
    options.set_device_map("worker1", {"cpu": "cpu"})
    with pytest.raises(ValueError, match="CPU only"):
        options.set_device_map("worker1", {0: 1})


@pytest.mark.parametrize("seconds", [-1, float("nan")])
def test_a_timeout_is_a_number_of_seconds(seconds):
    with pytest.raises(ValueError, match="rpc_timeout is"):
        TensorPipeRpcBackendOptions(rpc_timeout=seconds)


@pytest.mark.parametrize("seconds", ["5", True, timedelta(seconds=5)])
def test_a_timeout_of_another_type_is_refused(seconds):
    with pytest.raises(TypeError, match="incompatible constructor arguments"):
        TensorPipeRpcBackendOptions(rpc_timeout=seconds)
