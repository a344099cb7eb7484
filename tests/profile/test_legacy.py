"""Events under the names of PyTorch's older profiler: which worker did what for which call."""

import pytest

import nbgrad as nb
from nbgrad import rpc
from nbgrad.autograd import profiler_legacy
from nbgrad.profile import record_function


def multiply(x, y):
    with record_function("inside"):
        return x * y


def profiled(to):
    x = nb.ones(2)
    with profiler_legacy.profile() as p, record_function("around"):
        rpc.rpc_sync(to, multiply, args=(x, x))
        rpc.rpc_async(to, nb.mul, args=(x, x)).wait()
        rref = rpc.remote(to, multiply, args=(x, x))
        rref.to_here()
        rref._get_profiling_future().wait()
        y = x + x
    found = [(event.name, event.node_id, event.is_remote) for event in p.function_events]
    around = next(event for event in p.function_events if event.name == "around")
    calls = [event for event in p.function_events if event.is_async]
    assert all(event.time_range.start >= around.time_range.start for event in calls)
    assert all(event.time_range.end <= around.time_range.end for event in calls)
    assert all(event.count == 1 and event.key == event.name for event in p.function_events)
    names = {average.key for average in p.key_averages()}
    return found, [event.name for event in around.cpu_children], names, y.tolist()


@pytest.mark.parametrize("rank", [0, 1])
def test_calls_and_what_they_did_elsewhere(group2, rank):
    found, children, names, _ = group2.call(profiled, f"worker{rank}")
    expected = [("around", 0, False)]
    for mode, function in (("sync", "multiply"), ("async", "mul"), ("remote", "multiply")):
        call = f"rpc_{mode}#{function}(worker0 -> worker{rank})"
        expected.append((call, 0, False))
        if function == "multiply":
            expected.append((f"{call}#remote_op: inside", rank, True))
        expected.append((f"{call}#remote_op: aten::mul", rank, True))
    expected.append(("aten::add", 0, False))
    assert [event for event in found if "to_here" not in event[0]] == expected
    assert "aten::add" in children
    assert {name for name, _, _ in found} == names


def ended_later():
    with profiler_legacy.profile() as p:
        with record_function("until") as block:
            call = rpc.rpc_async(1, multiply, args=(nb.ones(1), 3))
            future = block._call_end_callbacks_on_future(call)
            with pytest.raises(RuntimeError, match="can only be called once"):
                block._call_end_callbacks_on_future(call)
        value = future.wait()
    return value.tolist(), [event.name for event in p.function_events].count("until")


def test_a_block_that_ends_with_a_future(group2):
    assert group2.call(ended_later) == ([3.0], 1)


def test_an_object_that_records_nothing():
    with profiler_legacy.profile(enabled=False) as p:
        nb.ones(1) * 2
    assert p.function_events == []
