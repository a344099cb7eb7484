"""Events and the time that each spent by itself."""

from nbgrad.profile import Event
from nbgrad.profile.events import self_times


def event(start_us, end_us, thread=1, worker="worker0", kind="forward"):
    return Event(worker, kind, "f", start_us * 1000, end_us * 1000, thread)


def test_what_ran_inside_is_taken_off():
    events = [event(0, 100), event(10, 40), event(15, 25), event(50, 60), event(200, 210)]
    assert self_times(events) == [60.0, 20.0, 10.0, 10.0, 10.0]


def test_the_order_of_the_events_does_not_matter():
    events = [event(15, 25), event(200, 210), event(10, 40), event(0, 100)]
    assert self_times(events) == [10.0, 10.0, 20.0, 70.0]


def test_other_threads_and_workers_take_nothing():
    assert self_times([event(0, 10), event(1, 2, thread=2), event(1, 2, worker="b")])[0] == 10.0


def test_what_overlaps_is_no_part_of_a_stack():
    events = [event(0, 10), event(2, 50, kind="rpc"), event(5, 8)]
    assert self_times(events) == [7.0, 48.0, 3.0]


def test_durations_are_in_microseconds():
    assert event(3, 5).duration_us == event(3, 5).cpu_time_total == 2.0
