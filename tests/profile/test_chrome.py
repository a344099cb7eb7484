"""The file for trace viewers."""

import json

from nbgrad.profile import Event
from nbgrad.profile.chrome import trace_events, write

EVENTS = [
    Event("worker0", "call", "f(worker0 -> worker1)", 1_000, 3_000, 700, "call 0.1"),
    Event("worker0", "rpc", "f(worker0 -> worker1)", 1_000, 9_000, 700, "call 0.1"),
    Event("worker1", "request", "f(worker0 -> worker1)", 4_000, 8_000, 900, "call 0.1"),
    Event("worker1", "send", "gradient(worker1 -> worker0)", 8_100, 8_200, 901, "gradient 0.1"),
]


def test_workers_are_processes_and_threads_are_rows():
    found = trace_events(EVENTS)
    names = {e["pid"]: e["args"]["name"] for e in found if e["ph"] == "M"}
    assert names == {0: "worker0", 1: "worker1"}
    spans = [(e["pid"], e["tid"], e["cat"], e["ts"], e["dur"]) for e in found if e["ph"] == "X"]
    assert spans == [
        (0, 0, "call", 1.0, 2.0),
        (1, 0, "request", 4.0, 4.0),
        (1, 1, "send", 8.1, 0.1),
    ]


def test_what_overlaps_has_a_begin_and_an_end():
    (begin,) = [e for e in trace_events(EVENTS) if e["ph"] == "b"]
    (end,) = [e for e in trace_events(EVENTS) if e["ph"] == "e"]
    assert begin["id"] == end["id"]
    assert (begin["ts"], end["ts"]) == (1.0, 9.0)


def test_arrows_lead_to_the_other_end_of_a_message():
    arrows = [e for e in trace_events(EVENTS) if e["ph"] in "sf"]
    assert [(e["ph"], e["pid"], e["ts"], e["id"]) for e in arrows] == [
        ("s", 0, 1.0, "call 0.1"),
        ("f", 1, 4.0, "call 0.1"),  # the gradient's other end was not recorded: no arrow
    ]


def test_the_file_is_json(tmp_path):
    write(tmp_path / "trace.json", EVENTS)
    written = json.loads((tmp_path / "trace.json").read_text())
    assert written["traceEvents"] == trace_events(EVENTS)
