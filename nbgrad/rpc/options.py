"""Options of `init_rpc`, with PyTorch's names."""

import os
from dataclasses import dataclass
from enum import Enum
from typing import Any

from nbgrad.rpc.backpressure import LIMIT, MOST_BYTES
from nbgrad.rpc.constants import (
    DEFAULT_INIT_METHOD,
    DEFAULT_NUM_WORKER_THREADS,
    DEFAULT_RPC_TIMEOUT_SEC,
)


class BackendType(Enum):
    """Backends by PyTorch's names; both mean shared memory here."""

    TENSORPIPE = "TENSORPIPE"
    SHARED_MEMORY = "SHARED_MEMORY"


@dataclass
class RpcBackendOptions:
    """What options of all backends have: see `TensorPipeRpcBackendOptions`, the only kind that `init_rpc` takes."""

    rpc_timeout: float = DEFAULT_RPC_TIMEOUT_SEC
    init_method: str = DEFAULT_INIT_METHOD


@dataclass(kw_only=True)
class TensorPipeRpcBackendOptions(RpcBackendOptions):
    """Options of the RPC layer.

    Parameters
    ----------
    num_worker_threads : int
        Accepted; threads that serve requests grow on demand.
    rpc_timeout : float
        Seconds that a call may take by default; 0 for ever.
    init_method : str
        Names the group, as MASTER_ADDR and MASTER_PORT do (`env://`): `tcp://host:port`, `file:///path`, or any text without
        `://`; no port is opened, no file made.  May end with `?rank=0&world_size=2`.
    max_queued_calls : int
        Calls from this worker that may lie unread or queued at another one; who sends more waits until that worker has
        begun to run some.  Bounds the memory that a slow worker takes.
    max_queued_bytes : int
        Bytes of arguments in such calls of 64 KiB and more each, 256 MiB by default; a single call may be larger.
    trust : str, optional
        "any" (the default) or "registered": see `init_rpc`.  Default: the environment's NBGRAD_TRUST.
    pickler : str, optional
        "pickle" (the default) or "cloudpickle", which also sends lambdas, local functions and classes, by value; needs the
        package cloudpickle (`pip install nbgrad[cloudpickle]`).  Default: the environment's NBGRAD_PICKLER.

    Examples
    --------
    >>> from nbgrad import rpc
    >>> rpc.TensorPipeRpcBackendOptions(rpc_timeout=5).rpc_timeout
    5.0
    """

    num_worker_threads: int = DEFAULT_NUM_WORKER_THREADS
    device_maps: Any = None
    devices: Any = None
    _transports: Any = None
    _channels: Any = None
    max_queued_calls: int = LIMIT
    max_queued_bytes: int = MOST_BYTES
    trust: str | None = None
    pickler: str | None = None

    def __post_init__(self) -> None:
        check_timeout(self.rpc_timeout)
        self.rpc_timeout = float(self.rpc_timeout)
        if self.max_queued_calls < 1:
            raise ValueError(
                f"max_queued_calls is {self.max_queued_calls}: at least one call must be allowed to wait"
            )

        if self.max_queued_bytes < 1:
            raise ValueError(
                f"max_queued_bytes is {self.max_queued_bytes}: at least one byte must be allowed to wait"
            )

    def set_device_map(self, to: str, device_map: dict) -> None:
        """Refused unless it maps the CPU to itself: there are no other devices."""
        if any(str(a) != "cpu" or str(b) != "cpu" for a, b in device_map.items()):
            raise ValueError(
                f"nbgrad runs on the CPU only, so device_map {device_map} has no meaning"
            )


def check_timeout(seconds: Any) -> None:
    """Raise TypeError unless it is a number, and ValueError unless it is a time that calls may take."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TypeError(
            f"incompatible constructor arguments: rpc_timeout is {seconds!r}, and seconds are wanted, as a number"
        )
    if not seconds >= 0:
        raise ValueError(
            f"rpc_timeout is {seconds!r}: the seconds that a call may take are wanted, 0 for ever"
        )


def chosen(name: str, value: str | None, allowed: tuple[str, ...]) -> str:
    """The value of an option, from the environment's NBGRAD_<NAME> where it is not given; the first of `allowed` by default.

    Raises
    ------
    ValueError
        If it is none of the allowed ones.
    """
    variable = f"NBGRAD_{name.upper()}"
    found = value or os.environ.get(variable) or allowed[0]
    if found not in allowed:
        raise ValueError(
            f"{name} is {found!r} (option or {variable}): it can be {' or '.join(allowed)}"
        )
    return found
