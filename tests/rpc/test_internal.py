"""What is left of a call when it is taken apart by hand."""

import numpy as np
import pytest

import nbgrad as nb
from nbgrad.errors import RpcEncodeError
from nbgrad.rpc import internal


def add(x, y):
    return x + y


def test_a_value_is_bytes_and_tensors():
    x, array = nb.ones(2), np.arange(3.0)
    call = internal.PythonUDF(add, (x, x, array), {"n": 1})
    data, tensors = internal.serialize(call)
    assert type(data) is bytes
    assert tensors[0] is x
    assert all(isinstance(t, nb.Tensor) for t in tensors)
    again = internal.deserialize(data, tensors)
    assert again.func is add
    assert again.args[0] is again.args[1] is x  # identity is kept
    assert np.array_equal(again.args[2], array)
    assert again.kwargs == {"n": 1}


def test_what_can_not_be_pickled_is_refused():
    with pytest.raises(RpcEncodeError, match="lambda"):
        internal.serialize(lambda: 0)


@pytest.mark.parametrize("mode", list(internal.RPCExecMode))
def test_keys_name_mode_function_and_workers(mode):
    key = internal._build_rpc_profiling_key(mode, "f", "a", "b")
    assert key == f"rpc_{mode.value}#f(a -> b)"


def test_remote_exceptions_are_text_and_type():
    assert internal.RemoteException("text", ValueError) == ("text", ValueError)
