"""The profile of a pass has events of all kinds, of both workers, on one clock."""

import json

import nbgrad as nb
from nbgrad import dist_autograd, rpc
from nbgrad.profile import Event, Profile, profile
from nbgrad.rpc import state


def multiply(x, y):
    return x * y


def profiled():
    x = nb.ones(3, requires_grad=True)
    with profile() as found, dist_autograd.context() as context_id:
        y = rpc.rpc_sync("worker1", multiply, args=(x, x))
        dist_autograd.backward(context_id, [y.sum()])
    return found, state.agent().trace


def test_all_kinds_of_both_workers_in_order(group2):
    found, trace = group2.call(profiled)
    assert trace is None
    kinds = {(event.worker, event.kind) for event in found.events}
    assert kinds >= {
        ("worker0", "call"),
        ("worker1", "request"),
        ("worker0", "send"),
        ("worker1", "recv"),
        ("worker1", "backward"),
        ("worker1", "send"),
        ("worker0", "recv"),
    }
    starts = [event.start_ns for event in found.events]
    assert starts == sorted(starts)
    (call,), (request,) = found.of_kind("call"), found.of_kind("request")
    assert call.start_ns < request.end_ns
    (there,) = [e for e in found.of_kind("recv") if e.worker == "worker1"]
    (back,) = [e for e in found.of_kind("recv") if e.worker == "worker0"]
    assert there.end_ns < back.end_ns


def test_table_and_trace_file(tmp_path):
    events = [
        Event("worker0", "call", "f", 1000, 3000, 1),
        Event("worker0", "call", "f", 5000, 9000, 1),
    ]
    found = Profile(events)
    assert "f" in found.table()
    assert "3.0" in found.table()  # the mean, in us
    found.export_chrome_trace(tmp_path / "trace.json")
    written = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert [e["dur"] for e in written if e["ph"] == "X"] == [2.0, 4.0]
