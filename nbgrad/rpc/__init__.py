"""Remote procedure calls between the workers of one machine, with the names of `torch.distributed.rpc`."""

from nbgrad.rpc import functions
from nbgrad.rpc.api import (
    _get_debug_info,
    _is_current_rpc_agent_set,
    _rref_context_get_debug_info,
    _set_rpc_timeout,
    get_rpc_timeout,
    get_worker_info,
    init_rpc,
    remote,
    rpc_async,
    rpc_sync,
    shutdown,
)
from nbgrad.rpc.figures import PeerStatistics, Statistics, statistics
from nbgrad.rpc.future import Future
from nbgrad.rpc.gather import _all_gather, _barrier, _wait_all
from nbgrad.rpc.options import BackendType, RpcBackendOptions, TensorPipeRpcBackendOptions
from nbgrad.rpc.rref import RRef
from nbgrad.rpc.trust import register
from nbgrad.rpc.workers import WorkerInfo

PyRRef = RRef

__all__ = [
    "BackendType",
    "Future",
    "PeerStatistics",
    "PyRRef",
    "RRef",
    "RpcBackendOptions",
    "Statistics",
    "TensorPipeRpcBackendOptions",
    "WorkerInfo",
    "_all_gather",
    "_barrier",
    "_get_debug_info",
    "_is_current_rpc_agent_set",
    "_rref_context_get_debug_info",
    "_set_rpc_timeout",
    "_wait_all",
    "functions",
    "get_rpc_timeout",
    "get_worker_info",
    "init_rpc",
    "register",
    "remote",
    "rpc_async",
    "rpc_sync",
    "shutdown",
    "statistics",
]
