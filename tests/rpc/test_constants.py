"""Defaults are the ones that options and calls have."""

from nbgrad import rpc
from nbgrad.rpc import constants


def test_options_begin_with_them():
    options = rpc.TensorPipeRpcBackendOptions()
    assert options.rpc_timeout == constants.DEFAULT_RPC_TIMEOUT_SEC
    assert options.init_method == constants.DEFAULT_INIT_METHOD
    assert options.num_worker_threads == constants.DEFAULT_NUM_WORKER_THREADS


def timeouts():
    return rpc.get_rpc_timeout(), rpc.rpc_sync(1, abs, (-1,), timeout=constants.UNSET_RPC_TIMEOUT)


def test_an_unset_timeout_is_the_default(group2):
    assert group2.call(timeouts) == (constants.DEFAULT_RPC_TIMEOUT_SEC, 1)
