"""The simulator itself: it finds what it must find, and finds it only where it is."""

import pytest

from nbgrad.jit import kernel
from nbgrad.jit.primitive import peek, poke
from nbgrad.shm.atomics import (
    cas,
    fetch_add,
    load,
    load_acquire,
    load_relaxed,
    store,
    store_relaxed,
    store_release,
)
from nbgrad.shm.futex import wait, wake
from tests.simulation.explore import explore, hammer
from tests.simulation.machine import Failure, Machine
from tests.simulation.source import Patch, PatchError

X, Y, Z = 64, 128, 192


@kernel("n")
def count(address):
    fetch_add(address, 1)


@kernel("n")
def count_badly(address):
    store(address, load(address) + 1)


@kernel("n")
def count_by_cas(address):
    old = load(address)
    while cas(address, old, old + 1) != old:
        old = load(address)


def counters(kernel, n_threads=3):
    def program(machine):
        function = machine.source.replaced(kernel)
        for k in range(n_threads):
            machine.spawn(f"t{k}", lambda: function(X))

        def check():
            assert machine.get(X >> 3) == n_threads, "an update was lost"

        return check

    return program


def test_atomic_counts_are_right_under_all_schedules():
    assert explore(counters(count)).schedules > 1
    assert explore(counters(count_by_cas)).schedules > 1


def test_a_lost_update_is_found():
    with pytest.raises(Failure, match=r"lost[\s\S]*schedule: [012]+[\s\S]*t2: store 0x40 2 -> 2"):
        explore(counters(count_badly))
    with pytest.raises(Failure, match="lost"):
        hammer(counters(count_badly), range(50))


def test_one_thread_alone_is_one_schedule():
    report = explore(counters(count_by_cas, 1))
    assert (report.schedules, report.steps) == (1, 1)


@kernel("nn")
def send(data, flag):
    poke(data, 7)
    store_release(flag, 1)


@kernel("nn=n")
def receive(data, flag):
    if load_acquire(flag) == 1:
        return peek(data)
    return 7


def message(machine):
    sender, receiver = machine.source.replaced(send), machine.source.replaced(receive)

    def receives():
        assert receiver(X, Y) == 7

    machine.spawn("sender", lambda: sender(X, Y))
    machine.spawn("receiver", receives)


def test_message_passing_is_in_order():
    assert explore(message).schedules > 1
    assert explore(message, plain=True).schedules > 2


@pytest.mark.parametrize("plain", [False, True])
def test_a_payload_after_its_flag_is_found(plain):
    patch = Patch(
        send,
        "poke(data, 7)\n    store_release(flag, 1)",
        "store_release(flag, 1)\n    poke(data, 7)",
    )
    with pytest.raises(
        Failure, match=r"race: (read|write) of 0x40 is not ordered after the plain (write|read)"
    ):
        explore(message, patches=[patch], plain=plain)


def test_an_order_too_weak_is_found():
    weak = {"store_relaxed": store_relaxed, "load_relaxed": load_relaxed}
    with pytest.raises(Failure, match="race: "):
        explore(message, patches=[Patch(send, "store_release(flag", "store_relaxed(flag", weak)])
    with pytest.raises(Failure, match="race: "):
        explore(message, patches=[Patch(receive, "load_acquire(flag)", "load_relaxed(flag)", weak)])


def test_a_patch_that_does_not_fit_is_an_error():
    with pytest.raises(PatchError, match="is 0 times in send"):
        explore(message, patches=[Patch(send, "no such text", "")])
    with pytest.raises(PatchError, match="no run has called"):
        explore(message, patches=[Patch(count, "1", "2")])


@kernel("n")
def sleep_until_set(address):
    while load(address) == 0:
        wait(address, 0, 0)


@kernel("n")
def set_and_wake(address):
    store(address, 1)
    wake(address, 1)


def sleepers(machine):
    sleep, rouse = machine.source.replaced(sleep_until_set), machine.source.replaced(set_and_wake)
    machine.spawn("sleeper", lambda: sleep(X))
    machine.spawn("waker", lambda: rouse(X))


def test_futex_compares_and_sleeps_in_one_step():
    assert explore(sleepers).schedules > 2


def test_a_sleeper_that_nobody_wakes_is_found():
    patch = Patch(
        set_and_wake,
        "store(address, 1)\n    wake(address, 1)",
        "wake(address, 1)\n    store(address, 1)",
    )
    with pytest.raises(Failure, match="wait for ever: sleeper on 0x40"):
        explore(sleepers, patches=[patch])
    hammer(sleepers, range(50), patches=[patch], slices=True)


@kernel("n=n")
def look(address):
    return load(address)


def test_a_deadlock_is_found_and_a_spin_ends():
    def program(machine):
        function, value = machine.source.replaced(count), machine.source.replaced(look)

        def waits_for(mine, other):
            seen = machine.written()
            while value(other) == 0:
                machine.wait_written(seen)
                seen = machine.written()
            function(mine)

        machine.spawn("a", lambda: waits_for(X, Y))
        machine.spawn("b", lambda: waits_for(Y, X))
        if first:
            machine.spawn("c", lambda: function(X))

    first = True
    explore(program)
    first = False
    with pytest.raises(Failure, match="wait for ever: a for a write, b for a write"):
        explore(program)


def test_seeds_replay(capsys):
    def trace(seed):
        machine = Machine()
        machine.tracing = True
        hammer(counters(count_by_cas, 4), [seed], machine)
        return machine.trace

    assert trace(3) == trace(3)
    assert len({tuple(trace(seed)) for seed in range(10)}) > 5


def test_a_killed_process_moves_no_more():
    ended = []

    def program(machine):
        function = machine.source.replaced(count)

        def body(k):
            for _ in range(5):
                function(X)
            ended.append(k)

        for k in range(3):
            machine.spawn(f"t{k}", lambda k=k: body(k))
        ended.clear()

        def check():
            assert len(ended) == 3 - len(machine.dead)
            assert machine.get(X >> 3) < 15 or not machine.dead

        return check

    report = hammer(program, range(100), kill=lambda seed: seed % 2 == 0)
    assert 30 < report.kills <= 50


def test_a_stopped_machine_ends_threads_whose_handlers_go_on():
    machine = Machine()
    function = machine.source.replaced(count)

    def body():
        try:
            function(X)
        except BaseException:
            for _ in range(1000):
                function(X)
            raise AssertionError("a stopped machine let a thread go on") from None

    machine.spawn("t", body)
    machine.step(machine.threads[0])  # before its first access
    machine.stop()
    assert machine.threads[0].error is None
    assert machine.get(X >> 3) == 0
