"""Defaults of the RPC layer, under PyTorch's names: `rpc.constants.DEFAULT_RPC_TIMEOUT_SEC` and its neighbours.

>>> from nbgrad import rpc
>>> rpc.constants.DEFAULT_RPC_TIMEOUT_SEC
60.0
"""

DEFAULT_RPC_TIMEOUT_SEC = 60.0
DEFAULT_INIT_METHOD = "env://"
DEFAULT_SHUTDOWN_TIMEOUT = 0.0  # for ever
DEFAULT_NUM_WORKER_THREADS = 16
UNSET_RPC_TIMEOUT = -1.0  # of a call: the agent's default
