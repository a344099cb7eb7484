"""`nbgrad.futures`: futures, under PyTorch's name.

>>> from nbgrad.futures import Future
>>> future = Future()
>>> future.set_result(3)
>>> future.wait()
3
"""

from nbgrad.rpc.future import Future, collect_all, wait_all

__all__ = ["Future", "collect_all", "wait_all"]
