"""The census sees groups from outside, and cleaning removes only what nobody lives in."""

import fcntl
import os
import signal

import pytest

from nbgrad.group import census, rendezvous
from nbgrad.shm.layout import Layout
from nbgrad.shm.segment import PREFIX, SHM, Segment
from tests.groups import eventually, fresh
from tests.signals import signals_to


def of(pids):
    """The group of these workers, or None."""
    found = [g for g in census.groups() if {member.pid for member in g.members} == set(pids)]
    return found[0] if found else None


def test_a_group_is_seen_from_outside_until_it_ends(nothing_left):
    with fresh(2) as group:
        pids = group.context.pids()
        found = of(pids)
        assert [(m.rank, m.name) for m in found.members] == [(0, "worker0"), (1, "worker1")]
        assert found.members[0].state == "ready"
        # The others serve inside shutdown, which one of them may not have reached yet.
        assert found.members[1].state in ("ready", "leaving")
        assert set(pids) < set(found.holders)
        assert found.generation == 1
        assert found.memory_bytes > 0
    assert of(pids) is None


def test_a_dead_worker_is_seen(nothing_left):
    with fresh(2) as group:
        pids = group.context.pids()
        with signals_to(pids[0]) as send, signals_to(pids[1]) as send_other:
            send(signal.SIGSTOP)  # stays as it is, to be looked at
            send_other(signal.SIGKILL)
            assert eventually(
                lambda: [member.state for member in of(pids).members] == ["ready", "dead"]
            )
            send(signal.SIGCONT)
        group.is_broken = True


def test_memory_that_is_no_group_is_not_one(tmp_path):
    for content in (b"", bytes(8192), b"\xff" * 8192):
        file = tmp_path / "segment"
        file.write_bytes(content)
        with file.open("rb") as opened:
            assert census.read(opened.fileno(), ()) is None


@pytest.fixture
def segment(tmp_path):
    name = rendezvous.segment_name(str(tmp_path))
    made = Segment.create(name, Layout(2).size_bytes)
    yield made
    made.unmap()
    made.close()


def test_remnants_are_removed_and_nothing_else(segment):
    path = f"{SHM}/{PREFIX}{segment.name}"
    fcntl.flock(segment.descriptor, fcntl.LOCK_EX)
    assert path not in census.clean()
    assert os.path.exists(path)
    fcntl.flock(segment.descriptor, fcntl.LOCK_UN)
    assert path in census.clean()
    assert not os.path.exists(path)
