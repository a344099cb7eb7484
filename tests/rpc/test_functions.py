"""async_execution: the reply comes when the future is done."""

from nbgrad import rpc
from nbgrad.rpc import Future


@rpc.functions.async_execution
def forward_to(worker, value):
    return rpc.rpc_async(worker, negate, args=(value,)).then(lambda done: done.value() + 1)


def negate(value):
    return -value


class Place:
    @staticmethod
    @rpc.functions.async_execution
    def static(value):
        future = Future()
        future.set_result(value * 2)
        return future

    @classmethod
    @rpc.functions.async_execution
    def of_class(cls, value):
        future = Future()
        future.set_result((cls.__name__, value))
        return future


def ask():
    return (
        rpc.rpc_sync("worker1", forward_to, args=("worker0", 5)),
        rpc.rpc_sync("worker1", Place.static, args=(4,)),
        rpc.rpc_sync("worker1", Place.of_class, args=(4,)),
        rpc.remote("worker1", forward_to, args=("worker1", 7)).to_here(),
    )


def test_all_forms(group2):
    assert group2.call(ask) == (-4, 8, ("Place", 4), -6)


def test_the_function_is_marked():
    assert forward_to._wrapped_async_rpc_function
