"""The RPC layer of a process: time-outs, and errors before init_rpc."""

import pytest

from nbgrad import rpc
from nbgrad.errors import RpcError
from nbgrad.rpc import state


def test_before_init_everything_says_so():
    for use in (
        state.agent,
        rpc.get_rpc_timeout,
        lambda: rpc.RRef(1),
        lambda: rpc.rpc_sync("w", abs),
    ):
        with pytest.raises(RpcError, match="RPC has not been initialized"):
            use()


def test_unset_time_outs_are_the_default(monkeypatch):
    monkeypatch.setattr(state.State, "timeout_s", 12.0)
    assert [state.seconds(t) for t in (-1, None, 0, 3)] == [12.0, 12.0, 0, 3]


def not_callable():
    try:
        rpc.rpc_sync("worker1", 5)
    except TypeError as error:
        return str(error)


def test_what_is_no_function_is_refused(group2):
    assert "function should be callable" in group2.call(not_callable)
