"""Code by value, where it was asked for."""

import sys
import threading

import numpy as np
import pytest

import nbgrad as nb
from nbgrad import rpc
from nbgrad.errors import RpcEncodeError, StartupError
from nbgrad.rpc import cloud
from tests import groups


def test_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    with pytest.raises(StartupError, match=r"pip install nbgrad\[cloudpickle\]"):
        cloud.pickler()


@pytest.fixture(scope="module")
def clouds():
    """Two workers that send code."""
    with groups.fresh(2, options={"pickler": "cloudpickle"}) as group:
        yield group


def call_lambdas():
    factor, x, a = 3, nb.ones(2), np.arange(3)

    def local(value, k=2):
        return value * k * factor

    class Local:
        def __init__(self, n):
            self.n = n

        def times(self, n):
            return self.n * n

    return (
        rpc.rpc_sync(1, lambda: factor),
        rpc.rpc_sync(1, local, (5,), {"k": 10}),
        rpc.rpc_sync(1, local, (x,)).tolist(),
        rpc.rpc_sync(1, lambda f, y: f(y).tolist(), (local, a)),
        rpc.rpc_sync(1, Local(4).times, (5,)),
        rpc.remote(1, lambda: [factor]).to_here(),
        rpc.rpc_sync(1, lambda rref: rref.to_here(), (rpc.RRef(9),)),
        rpc.rpc_sync(1, lambda: lambda: 11)(),
    )


def test_lambdas_local_functions_and_classes(clouds):
    assert clouds.call(call_lambdas) == (3, 150, [6, 6], [0, 6, 12], 20, [3], 9, 11)


def array_twice():
    a = nb.ones(3)
    return rpc.rpc_sync(1, lambda x, y: x is y, (a, a))


def test_identity_within_a_message(clouds):
    assert clouds.call(array_twice)


def refuse_lock():
    try:
        rpc.rpc_sync(1, lambda x: x, (threading.Lock(),))
    except RpcEncodeError as error:
        return str(error)
    return None


def test_what_even_cloudpickle_can_not_send_is_refused(clouds):
    assert "can't send the arguments of refuse_lock.<locals>.<lambda>" in clouds.call(refuse_lock)


def refuse_lambda():
    try:
        rpc.rpc_sync(1, lambda: 0)
    except RpcEncodeError as error:
        return str(error)
    return None


def test_without_asking_lambdas_are_refused_with_the_way_out(group2):
    text = group2.call(refuse_lambda)
    assert "refuse_lambda.<locals>.<lambda>" in text
    assert "pickler='cloudpickle'" in text
