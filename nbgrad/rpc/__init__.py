"""Remote procedure calls between the workers of one machine, with the names of `torch.distributed.rpc`."""

from nbgrad.rpc import backend_registry, constants, functions, internal, options
from nbgrad.rpc.api import (
    TensorPipeAgent,
    _delete_all_user_and_unforked_owner_rrefs,
    _get_current_rpc_agent,
    _get_debug_info,
    _is_current_rpc_agent_set,
    _rref_context_get_debug_info,
    _set_rpc_timeout,
    enable_gil_profiling,
    get_rpc_timeout,
    get_worker_info,
    init_rpc,
    is_available,
    remote,
    rpc_async,
    rpc_sync,
    shutdown,
)
from nbgrad.rpc.figures import PeerStatistics, Statistics, statistics
from nbgrad.rpc.future import Future
from nbgrad.rpc.gather import _all_gather, _barrier, _wait_all, _wait_all_workers
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
    "TensorPipeAgent",
    "TensorPipeRpcBackendOptions",
    "WorkerInfo",
    "_all_gather",
    "_barrier",
    "_delete_all_user_and_unforked_owner_rrefs",
    "_get_current_rpc_agent",
    "_get_debug_info",
    "_is_current_rpc_agent_set",
    "_rref_context_get_debug_info",
    "_set_rpc_timeout",
    "_wait_all",
    "_wait_all_workers",
    "backend_registry",
    "constants",
    "enable_gil_profiling",
    "functions",
    "get_rpc_timeout",
    "get_worker_info",
    "init_rpc",
    "internal",
    "is_available",
    "options",
    "register",
    "remote",
    "rpc_async",
    "rpc_sync",
    "shutdown",
    "statistics",
]
