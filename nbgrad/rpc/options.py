"""Options of `init_rpc`, with PyTorch's names."""

from dataclasses import dataclass
from enum import Enum
from typing import Any


class BackendType(Enum):
    """Backends by PyTorch's names; both mean shared memory here."""

    TENSORPIPE = "TENSORPIPE"
    SHARED_MEMORY = "SHARED_MEMORY"


@dataclass
class TensorPipeRpcBackendOptions:
    """Options of the RPC layer.

    Parameters
    ----------
    num_worker_threads : int
        Accepted; threads that serve requests grow on demand.
    rpc_timeout : float
        Seconds that a call may take by default; 0 for ever.
    init_method : str
        Names the group, as MASTER_ADDR and MASTER_PORT do; no port is opened.

    Examples
    --------
    >>> from nbgrad import rpc
    >>> rpc.TensorPipeRpcBackendOptions(rpc_timeout=5).rpc_timeout
    5
    """

    num_worker_threads: int = 16
    rpc_timeout: float = 60.0
    init_method: str = "env://"
    device_maps: Any = None
    devices: Any = None
    _transports: Any = None
    _channels: Any = None

    def set_device_map(self, to: str, device_map: dict) -> None:
        """Refused unless it maps the CPU to itself: there are no other devices."""
        if any(str(a) != "cpu" or str(b) != "cpu" for a, b in device_map.items()):
            raise ValueError(
                f"nbgrad runs on the CPU only, so device_map {device_map} has no meaning"
            )


RpcBackendOptions = TensorPipeRpcBackendOptions
