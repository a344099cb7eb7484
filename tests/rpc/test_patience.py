"""Who waits for long says what for: after the time that the environment sets, and ever less often."""

import logging
import threading
import time
from types import SimpleNamespace

import pytest

from nbgrad import rpc
from nbgrad.futures import Future
from nbgrad.rpc import patience, state
from nbgrad.rpc.patience import Patience
from tests import groups


@pytest.mark.parametrize(("text", "seconds"), [("", 30.0), ("0", 0.0), ("2.5", 2.5)])
def test_the_environment_sets_the_time(monkeypatch, text, seconds):
    monkeypatch.setenv(patience.VARIABLE, text)
    assert patience.warning_s() == seconds


def test_what_is_no_number_is_refused(monkeypatch):
    monkeypatch.setenv(patience.VARIABLE, "soon")
    with pytest.raises(ValueError, match="NBGRAD_WAIT_WARNING_S is 'soon'"):
        patience.warning_s()


class Clock:
    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(patience, "time", clock)
    return clock


def make(after_s=30.0):
    session = SimpleNamespace(name="w0", names=["w0", "w1"], pid=lambda rank: 70 + rank)
    pressure = SimpleNamespace(queued=lambda rank: 3, queued_bytes=lambda rank: 2_500_000)
    calls = SimpleNamespace(pressure=pressure)
    return Patience(SimpleNamespace(session=session, calls=calls), after_s)


def waiting_for(text, targets=0):
    future = Future()
    future.text, future.targets = text, targets
    return future


def wait(patient, clock, future, *ends):
    for end in ends:
        clock.now = 100.0 + end
        patient.look(future)


def test_a_long_wait_is_told_at_30_60_and_120_seconds(clock, caplog):
    patient, future = make(), waiting_for((max, "w1"), 0b10)
    wait(patient, clock, future, 0, 29.9)
    assert caplog.records == []
    wait(patient, clock, future, *range(30, 200))
    texts = [record.getMessage() for record in caplog.records]
    assert len(texts) == 3
    assert [text.split(" s in ")[0] for text in texts] == [
        f"worker 'w0' has waited {n}" for n in (30, 60, 120)
    ]
    assert (
        "for max on worker 'w1'; 'w1' (pid 71) has 3 calls of this worker unread or queued, 2.5 MB in"
        in texts[0]
    )
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


def test_each_wait_has_its_own_time(clock, caplog):
    patient = make()
    wait(patient, clock, waiting_for("one"), 0, 20)
    wait(patient, clock, waiting_for("two"), 21, 50)
    assert caplog.records == []
    patient.forget()
    assert patient.waits == {}


def test_threads_are_told_apart(clock):
    patient, future = make(), waiting_for("one")
    patient.look(future)
    thread = threading.Thread(target=patient.look, args=(future,))
    thread.start()
    thread.join()
    assert len(patient.waits) in (1, 2)  # (a thread's number may be used again)
    assert all(entry.waited is future for entry in patient.waits.values())


def test_many_waiting_threads_are_one_line_each_period(monkeypatch, clock, caplog):
    patient = make()
    me = SimpleNamespace(ident=0, name="t0")
    monkeypatch.setattr(
        patience,
        "threading",
        SimpleNamespace(get_ident=lambda: me.ident, current_thread=lambda: me),
    )
    futures = [waiting_for((max, "w1"), 0b10) for _ in range(200)]
    futures += [waiting_for(f"thing {k}") for k in range(6)]

    def look(end):
        for me.ident, future in enumerate(futures):
            me.name = f"t{me.ident}"
            wait(patient, clock, future, end + me.ident / 1000)  # they began one after the other

    for end in range(0, 130, 5):
        look(end)
    texts = [record.getMessage() for record in caplog.records]
    assert [text.split(" s in ")[0] for text in texts] == [
        f"worker 'w0' has waited {n}" for n in (30, 60, 120)
    ]
    assert (
        "200 threads ('t0', 't1', 't2', ...) for max on worker 'w1'; 'w1' (pid 71) has 3 calls"
        in texts[0]
    )
    assert (
        "; and 30 s in thread 't200' for thing 0; and 30 s in thread 't201' for thing 1;"
        in texts[0]
    )
    assert texts[0].endswith("and 4 more threads wait for 4 other things")


def test_a_wait_that_began_later_is_told_with_the_next_line(clock, caplog):
    patient = make()
    wait(patient, clock, waiting_for("one"), 0, 30)
    thread = threading.Thread(target=wait, args=(patient, clock, waiting_for("two"), 25, 56, 60))
    thread.start()
    thread.join()
    assert [record.getMessage().split(" has ")[1][:11] for record in caplog.records] == [
        "waited 30 s",
        "waited 60 s",
    ]
    assert "for one; and 35 s in thread" in caplog.records[1].getMessage()


def test_zero_is_never(clock, caplog):
    patient = make(0)
    wait(patient, clock, waiting_for("one"), 0, 1000)
    assert caplog.records == []
    assert patient.waits == {}


def test_an_idle_worker_does_not_complain(clock, caplog):
    caplog.set_level(logging.INFO, "nbgrad")
    idle = SimpleNamespace(text="all workers", is_idle=True)
    patient = make()
    wait(patient, clock, idle, 0, 31)
    assert [record.levelno for record in caplog.records] == [logging.INFO]


def snooze(seconds):
    time.sleep(seconds)


def wait_for_a_slow_call():
    rpc.rpc_sync(1, snooze, args=(0.4,))


def test_a_worker_says_what_it_waits_for(monkeypatch, capfd):
    monkeypatch.setenv(patience.VARIABLE, "0.1")
    with groups.fresh(2) as group:
        group.call(wait_for_a_slow_call)
    text = capfd.readouterr().err
    assert (
        "worker 'worker0' has waited 0 s in thread 'MainThread' for snooze on worker 'worker1'"
        in text
    )
    assert "shutdown" not in text  # worker 1 waited longer, for nothing but work


def traces_and_waits():
    rpc.rpc_sync(1, snooze, args=(0.05,))
    agent = state.agent()
    return agent.trace, dict(agent.patience.waits)


def test_nothing_is_traced_or_kept_when_nobody_asked(group2):
    assert group2.call(traces_and_waits) == (None, {})
