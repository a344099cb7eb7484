"""What the exceptions about a death say."""

import pytest

from nbgrad.errors import WorkerDied
from nbgrad.group import control, death, status
from nbgrad.shm import words
from nbgrad.shm.layout import PID, Layout
from nbgrad.shm.segment import Segment

LAYOUT = Layout(2, ring_capacity=4096, arena_bytes=1 << 20)


@pytest.fixture
def segment():
    segment = Segment.inherited(LAYOUT.size_bytes)
    control.commit(segment, LAYOUT)
    control.write_name(segment.address + LAYOUT.worker(1), "trainer")
    words.store(segment.address + LAYOUT.worker(1) + PID, 4321)
    yield segment
    segment.unmap()
    segment.close()


def test_nobody_has_died(segment):
    assert death.first_dead(segment, LAYOUT) == -1
    death.check(segment, LAYOUT)


def test_the_error_names_the_worker_and_its_end(segment):
    control.note_death(segment.address, LAYOUT, 1, status.encode(-9))
    assert death.first_dead(segment, LAYOUT) == 1
    with pytest.raises(
        WorkerDied,
        match=r"'trainer' \(rank 1, pid 4321\) ended with signal SIGKILL during a call.*memory",
    ) as caught:
        death.check(segment, LAYOUT, "a call")
    error = caught.value
    assert (error.rank, error.name, error.pid, error.exitcode) == (1, "trainer", 4321, -9)


def test_a_worker_that_just_returned_is_told_what_it_forgot(segment):
    control.note_death(segment.address, LAYOUT, 1, status.encode(0))
    with pytest.raises(WorkerDied, match=r"shutdown\(\)"):
        death.check(segment, LAYOUT)
