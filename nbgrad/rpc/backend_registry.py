"""Backends by name, as `torch.distributed.rpc.backend_registry` gives them: there is one, shared memory."""

from typing import Any

from nbgrad.rpc.constants import DEFAULT_INIT_METHOD, DEFAULT_RPC_TIMEOUT_SEC
from nbgrad.rpc.options import BackendType, TensorPipeRpcBackendOptions

__all__ = ["BackendType", "backend_registered", "construct_rpc_backend_options"]


def backend_registered(backend_name: str) -> bool:
    """Whether there is a backend of that name.

    >>> from nbgrad import rpc
    >>> rpc.backend_registry.backend_registered("TENSORPIPE")
    True
    """
    return backend_name in BackendType.__members__


def construct_rpc_backend_options(
    backend: BackendType,
    rpc_timeout: float = DEFAULT_RPC_TIMEOUT_SEC,
    init_method: str = DEFAULT_INIT_METHOD,
    **kwargs: Any,
) -> TensorPipeRpcBackendOptions:
    """The options of a backend.

    Raises
    ------
    TypeError
        If it is no `BackendType`, or an option has no such name.
    """
    if not isinstance(backend, BackendType):
        raise TypeError(f"backend must be a member of BackendType, got {backend!r}")
    return TensorPipeRpcBackendOptions(rpc_timeout=rpc_timeout, init_method=init_method, **kwargs)
