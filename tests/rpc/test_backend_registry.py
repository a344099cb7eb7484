"""There is one backend, and it makes options."""

import pytest

from nbgrad import rpc
from nbgrad.rpc import backend_registry


def test_backends_are_known_by_name():
    assert backend_registry.BackendType["TENSORPIPE"] is rpc.BackendType.TENSORPIPE
    assert backend_registry.backend_registered("TENSORPIPE")
    assert not backend_registry.backend_registered("PROCESS_GROUP")


def test_options_are_made():
    options = backend_registry.construct_rpc_backend_options(
        rpc.BackendType.TENSORPIPE, init_method="file:///somewhere", num_worker_threads=8
    )
    assert isinstance(options, rpc.TensorPipeRpcBackendOptions)
    assert (options.init_method, options.num_worker_threads) == ("file:///somewhere", 8)
    assert options.rpc_timeout == rpc.constants.DEFAULT_RPC_TIMEOUT_SEC


def test_wrong_backends_and_options_are_refused():
    with pytest.raises(TypeError, match="BackendType"):
        backend_registry.construct_rpc_backend_options("TENSORPIPE")
    with pytest.raises(TypeError, match="num_send_recv_threads"):
        backend_registry.construct_rpc_backend_options(
            rpc.BackendType.TENSORPIPE, num_send_recv_threads=2
        )
