"""async_execution: the reply comes when the future is done."""

import nbgrad as nb
from nbgrad import dist_autograd, rpc
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


@rpc.functions.async_execution
def not_a_future():
    return 5


@rpc.functions.async_execution
def fails_later():
    return rpc.rpc_async(0, negate, args=("text",)).then(lambda done: done.value() / 0)


@rpc.functions.async_execution
def fails_at_once():
    raise LookupError("before there is a future")


def ask_wrongly():
    found = []
    ways = (
        lambda f: rpc.rpc_sync(1, f),
        lambda f: rpc.rpc_async(1, f).wait(),
        lambda f: rpc.remote(1, f).to_here(),
    )
    for function in (not_a_future, fails_later, fails_at_once):
        for ask in ways:
            try:
                ask(function)
            except Exception as error:
                found.append((type(error).__name__, str(error)))
    return found


def test_errors_of_async_functions(group2):
    found = group2.call(ask_wrongly)
    assert found[0] == found[1] == found[2]
    assert found[0][0] == "DtypeError"
    assert "not_a_future returned int" in found[0][1]
    assert "must return a torch.futures.Future object" in found[0][1]
    assert [name for name, _ in found[3:]] == ["TypeError"] * 3 + ["LookupError"] * 3


class Wrong:
    @rpc.functions.async_execution
    def answer(self):
        return 5


def ask_a_method():
    rref = rpc.remote(1, Wrong)
    found = []
    for proxy in (rref.rpc_sync(), rref.remote()):
        try:
            proxy.answer().to_here()
        except Exception as error:
            found.append((type(error).__name__, "Wrong.answer returned int" in str(error)))
    return found


def test_a_method_must_give_a_future_too(group2):
    assert group2.call(ask_a_method) == [("DtypeError", True)] * 2


@rpc.functions.async_execution
def in_context(x):
    """The continuation that builds the reply is in the caller's context, although it runs on another thread."""
    return rpc.rpc_async(0, double, args=(x,)).then(lambda done: done.value() * 3)


def double(x):
    return x * 2


def differentiate():
    x = nb.ones(2, requires_grad=True)
    with dist_autograd.context() as context_id:
        y = rpc.rpc_sync(1, in_context, args=(x,))
        dist_autograd.backward(context_id, [y.sum()])
        return dist_autograd.get_gradients(context_id)[x].array.tolist()


def test_results_of_async_functions_are_differentiated(group2):
    assert group2.call(differentiate) == [6.0, 6.0]


def test_the_function_is_marked():
    assert forward_to._wrapped_async_rpc_function
