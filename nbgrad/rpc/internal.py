"""Names that test suites and tools written for PyTorch take from `torch.distributed.rpc.internal`."""

import struct
from enum import Enum
from typing import Any, NamedTuple

from nbgrad.rpc import codec

__all__ = [
    "PythonUDF",
    "RPCExecMode",
    "RemoteException",
    "_build_rpc_profiling_key",
    "_internal_rpc_pickler",
    "deserialize",
    "serialize",
]


class RPCExecMode(Enum):
    """The three ways to call."""

    SYNC = "sync"
    ASYNC = "async"
    ASYNC_JIT = "async_jit"
    REMOTE = "remote"


class PythonUDF(NamedTuple):
    """A function and its arguments, as one value."""

    func: Any
    args: Any
    kwargs: Any


class RemoteException(NamedTuple):
    """An exception as text and type."""

    msg: str
    exception_type: Any = None


class InternalPickler:
    """Values to bytes and tensors, and back, as messages do it."""

    def serialize(self, value: Any) -> tuple[bytes, list]:
        """(bytes, tensors) of a value; whoever sends both lets its tensors travel as tensors.

        Raises
        ------
        RpcEncodeError
            If something in it can't be pickled.
        """
        data, tensors, arrays = codec.encode(value, "a value")
        more = [codec.Tensors.kind(array) for array in arrays]  # the form has no other place
        return N_TENSORS.pack(len(tensors)) + data, [*tensors, *more]

    def deserialize(self, data: bytes, tensors: list) -> Any:
        """The value that `serialize` took apart."""
        (n,) = N_TENSORS.unpack_from(data)
        return codec.decode(data[N_TENSORS.size :], tensors[:n], [t.array for t in tensors[n:]])


N_TENSORS = struct.Struct("<I")
_internal_rpc_pickler = InternalPickler()


def serialize(value: Any) -> tuple[bytes, list]:
    """(bytes, tensors) of a value."""
    return _internal_rpc_pickler.serialize(value)


def deserialize(data: bytes, tensors: list) -> Any:
    """The value again."""
    return _internal_rpc_pickler.deserialize(data, tensors)


def _build_rpc_profiling_key(
    exec_type: RPCExecMode, func_name: str, current_worker_name: str, dst_worker_name: str
) -> str:
    """The name under which PyTorch's profiler shows a call.

    >>> from nbgrad.rpc import internal
    >>> internal._build_rpc_profiling_key(internal.RPCExecMode.SYNC, "f", "worker0", "worker1")
    'rpc_sync#f(worker0 -> worker1)'
    """
    return f"rpc_{exec_type.value}#{func_name}({current_worker_name} -> {dst_worker_name})"
