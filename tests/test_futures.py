"""`nbgrad.futures` holds PyTorch's names; what they do is tested in tests/rpc/test_future.py."""

from nbgrad import futures
from nbgrad.rpc import future


def test_the_names_of_torch_futures():
    assert futures.Future is future.Future
    assert futures.collect_all is future.collect_all
    assert futures.wait_all is future.wait_all
    assert set(futures.__all__) == {"Future", "collect_all", "wait_all"}
