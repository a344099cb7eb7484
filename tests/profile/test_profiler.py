"""The profile of a program on several workers: events of all kinds, on one clock."""

import json

import pytest

import nbgrad as nb
from nbgrad import dist_autograd, optim, rpc
from nbgrad.autograd.watch import Watch
from nbgrad.profile import profile, record_function
from nbgrad.rpc import state


def multiply(x, y):
    return x * y


def watching():
    return state.agent().trace is not None, Watch.record is not None


def profiled(folder=None):
    x = nb.ones(3, requires_grad=True)
    with profile() as found, dist_autograd.context() as context_id:
        y = rpc.rpc_sync("worker1", multiply, args=(x, x))
        dist_autograd.backward(context_id, [y.sum()])
    if folder is not None:
        found.export_chrome_trace(f"{folder}/trace.json")
    return found.events, found.table(), watching(), rpc.rpc_sync("worker1", watching)


def test_all_kinds_of_both_workers_in_order(group2):
    events, table, here, there = group2.call(profiled)
    assert here == there == (False, False)
    found = {(event.worker, event.kind, event.name) for event in events}
    call, back, forth = (
        f"{what}(worker{a} -> worker{b})"
        for what, a, b in (("multiply", 0, 1), ("gradient", 0, 1), ("gradient", 1, 0))
    )
    assert found == {
        ("worker0", "call", call),
        ("worker0", "rpc", call),
        ("worker1", "request", call),
        ("worker1", "forward", "mul"),
        ("worker0", "forward", "sum"),
        ("worker0", "pass", "dist_autograd.backward"),
        ("worker0", "backward", "SumBackward0"),
        ("worker0", "send", back),
        ("worker1", "recv", back),
        ("worker1", "backward", "MulBackward0"),
        ("worker1", "send", forth),
        ("worker0", "recv", forth),
    }
    for line in found:
        assert line[2] in table


def test_one_clock_orders_what_happened_on_two_workers(group2):
    events, *_ = group2.call(profiled)
    at = {(event.worker, event.kind): event for event in events}
    assert [event.start_ns for event in events] == sorted(event.start_ns for event in events)
    steps = [
        at["worker0", "call"].start_ns,
        at["worker1", "request"].start_ns,
        at["worker1", "forward"].end_ns,
        at["worker0", "rpc"].end_ns,
        at["worker0", "pass"].start_ns,
        at["worker0", "send"].start_ns,
        at["worker1", "recv"].end_ns,
        at["worker1", "backward"].end_ns,
        at["worker1", "send"].start_ns,
        at["worker0", "recv"].end_ns,
        at["worker0", "pass"].end_ns,
    ]
    assert steps == sorted(steps)
    assert at["worker0", "call"].flow == at["worker1", "request"].flow != ""
    assert at["worker0", "send"].flow == at["worker1", "recv"].flow != ""
    assert at["worker1", "send"].flow == at["worker0", "recv"].flow != ""


def test_the_trace_file_has_the_arrows_of_all_messages(group2, tmp_path):
    group2.call(profiled, str(tmp_path))
    written = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    arrows = {}
    for event in written:
        if event["ph"] in "sf":
            arrows.setdefault(event["id"], []).append((event["ph"], event["pid"]))
    assert sorted(arrows.values()) == [
        [("s", 0), ("f", 1)],  # the call
        [("s", 0), ("f", 1)],  # a gradient there
        [("s", 1), ("f", 0)],  # and back
    ]


def each_for_itself():
    """Two workers profile at once; each gets the events of both while its own block lasts."""
    other = rpc.rpc_async("worker1", profile_here)
    with profile() as found:
        names = other.wait()
        multiply(nb.ones(1), nb.ones(1))
    return [event.name for event in found.events if event.kind == "forward"][-1:], names


def profile_here():
    with profile() as found:
        nb.ones(1) + 1
    return [event.name for event in found.events if event.kind == "forward"]


def test_several_workers_may_profile_at_once(group2):
    own, others = group2.call(each_for_itself)
    assert own == ["mul"]
    assert "add" in others


def fails_inside():
    with pytest.raises(KeyError, match="inside"), profile() as found:  # noqa: PT012
        nb.ones(1) + 1
        raise KeyError("inside")
    return [event.name for event in found.events], watching(), rpc.rpc_sync("worker1", watching)


def test_an_error_inside_of_the_block_ends_the_recording(group2):
    assert group2.call(fails_inside) == (["add"], (False, False), (False, False))


def leave_inside():
    rpc.init_rpc("alone", rank=0, world_size=1)
    with profile() as found:
        nb.ones(1) + 1
        rpc.shutdown()
        nb.ones(1) * 1
    return [event.name for event in found.events]


def test_the_group_may_be_left_inside_of_the_block():
    assert leave_inside() == ["add", "mul"]
    assert Watch.record is None


# ---------------------------------------------------------------- one process


def test_one_process_alone():
    x = nb.ones(2, requires_grad=True)
    optimizer = optim.SGD([x], lr=0.1)
    with profile(use_cpu=True) as found:
        with record_function("step"):
            (x * 3).sum().backward()
        optimizer.step()
    assert [(event.kind, event.name) for event in found.function_events] == [
        ("user", "step"),
        ("forward", "mul"),
        ("forward", "sum"),
        ("pass", "backward"),
        ("backward", "SumBackward0"),
        ("backward", "MulBackward0"),
        ("user", "Optimizer.step#SGD.step"),
    ]
    whole = sum(event.duration_us for event in found.events if event.kind == "user")
    assert found.self_cpu_time_total == pytest.approx(whole)
    assert found.total_average().count == 7
    assert "SumBackward0" in str(found)


def test_switched_off_it_records_nothing():
    with profile(enabled=False) as found:
        assert Watch.record is None
    assert found.events == []


def test_a_profile_is_entered_once():
    with profile() as found:
        pass
    with pytest.raises(RuntimeError, match="not reentrant"), found:
        pass


def test_functions_may_have_a_name_of_their_own():
    @record_function("named")
    def run(n):
        return run(n - 1) if n else 7

    with profile() as found:
        assert run(2) == 7
    assert [event.name for event in found.events] == ["named"] * 3


def test_unknown_options_are_refused():
    with pytest.raises(TypeError, match="no option schedule"):
        profile(schedule=None)


def start():
    return stop()


def stop():
    return 7


def calls_of_functions_with_common_names():
    with nb.profile.profile() as p:
        rpc.rpc_sync("worker1", start)
        rpc.rpc_sync("worker1", stop)
    return [event.name for event in p.of_kind("request")]


def test_functions_of_the_user_may_be_called_start_and_stop(group2):
    names = group2.call(calls_of_functions_with_common_names)
    assert names == ["start(worker0 -> worker1)", "stop(worker0 -> worker1)"]
