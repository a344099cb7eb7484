"""Workers that somebody else started meet by name, and leave no name."""

import contextlib
import fcntl
import os
import time

import pytest

from nbgrad.errors import StartupError
from nbgrad.group import join, rendezvous
from nbgrad.shm.layout import Layout
from nbgrad.shm.segment import PREFIX, SHM, Segment
from tests.group.programs import children, program, wait_gone

MEMBER = """
import sys
from nbgrad.group import join

rank, world, times = (int(word) for word in sys.argv[1:4])
for _ in range(times):
    session = join(f"w{rank}", rank, world)
    names = session.names
    session.leave()
print(*names, flush=True)
sys.stdin.read()  # stay, so that nobody ends too early for the others
"""


def key_of(tmp_path):
    return {"MASTER_ADDR": "localhost", "MASTER_PORT": str(hash(tmp_path) % 40_000 + 20_000)}


def answers(tmp_path, *runs):
    """First lines of members with these arguments."""
    with contextlib.ExitStack() as stack:
        started = [
            stack.enter_context(program(tmp_path, MEMBER, *run, **key_of(tmp_path))) for run in runs
        ]
        found = [member.stdout.readline().rstrip("\n") for member in started]
        for member, line in zip(started, found):
            assert line, member.communicate()[1]  # its traceback
        watchers = [pid for member in started for pid in children(member.pid)]
    assert wait_gone(watchers, 5.0) == []  # nothing_left is less patient with a busy machine
    return found


def test_plain_processes_meet(nothing_left, tmp_path):
    assert answers(tmp_path, (0, 3, 1), (1, 3, 1), (2, 3, 1)) == ["w0 w1 w2"] * 3


def test_plain_processes_meet_again_and_again(nothing_left, tmp_path):
    assert answers(tmp_path, (1, 2, 20), (0, 2, 20)) == ["w0 w1"] * 2


@pytest.fixture
def named(tmp_path):
    """A name, and the segments made under it, which are given back after the test."""
    made = []
    name = rendezvous.segment_name(str(tmp_path))
    yield name, made
    for segment in made:
        segment.unlink()
        segment.unmap()
        segment.close()


def soon():
    return time.monotonic() + 0.05


def test_without_a_rank_0_the_name_is_told(nothing_left, named):
    with pytest.raises(StartupError, match="rank 1 of 2 has found no rank 0 to meet"):
        rendezvous.attach(named[0], Layout(2), 1, soon())


def test_worlds_of_two_sizes_do_not_mix(nothing_left, named):
    name, made = named
    made.append(rendezvous.create(name, Layout(2), soon()))
    made.append(rendezvous.attach(name, Layout(2), 1, soon()))
    with pytest.raises(StartupError, match="rank 1 has world_size 3, but rank 0 has 2"):
        rendezvous.attach(name, Layout(3), 1, soon())


def test_rank_0_chooses_the_sizes(nothing_left, named):
    name, made = named
    made.append(rendezvous.create(name, Layout(2, arena_bytes=1 << 26), soon()))
    made.append(rendezvous.attach(name, Layout(2), 1, soon()))
    assert rendezvous.layout_of(made[1]) == Layout(2, arena_bytes=1 << 26)
    assert made[1].size_bytes == made[0].size_bytes


def test_another_version_is_refused(nothing_left, named, monkeypatch):
    name, made = named
    made.append(rendezvous.create(name, Layout(2), soon()))
    monkeypatch.setattr(rendezvous, "version", lambda: 1)
    monkeypatch.setattr(rendezvous, "origin", lambda: "0.0.9 in /elsewhere")
    says = r"rank 1 runs another nbgrad than rank 0: 0.0.9 in /elsewhere here, \d+\.\d+\.\d+\S* in .*nbgrad there"
    with pytest.raises(StartupError, match=says):
        rendezvous.attach(name, Layout(2), 1, soon())


def test_a_segment_that_is_not_initialised_is_waited_for(nothing_left, named):
    name, made = named
    made.append(Segment.create(name, Layout(2).size_bytes))
    fcntl.flock(made[0].descriptor, fcntl.LOCK_EX)
    made[0].commit(0, 4096)
    with pytest.raises(StartupError, match="no rank 0"):
        rendezvous.attach(name, Layout(2), 1, soon())


def test_a_remnant_of_a_dead_rank_0_is_replaced(nothing_left, named):
    name, made = named
    dead = rendezvous.create(name, Layout(2), soon())
    dead.owner = False  # as if its creator had been killed: no lock, and the name stays
    dead.unmap()
    dead.close()
    assert os.path.exists(f"{SHM}/{PREFIX}{name}")
    with pytest.raises(StartupError, match="no rank 0"):
        rendezvous.attach(name, Layout(2), 1, soon())
    made.append(rendezvous.create(name, Layout(2), soon()))
    made.append(rendezvous.attach(name, Layout(2), 1, soon()))


def test_a_second_group_of_one_name_waits_for_the_first(nothing_left, tmp_path):
    end = time.monotonic() + 0.1
    key = str(tmp_path)
    first = rendezvous.create(rendezvous.segment_name(key), Layout(1), end)
    with pytest.raises(StartupError, match="another group is starting under the same name"):
        rendezvous.create(rendezvous.segment_name(key), Layout(1), end)
    first.unlink()  # complete
    second = rendezvous.create(rendezvous.segment_name(key), Layout(1), end)
    for segment in (first, second):
        segment.unmap()
        segment.close()


def test_a_group_of_one_needs_nobody(nothing_left, tmp_path):
    for _ in range(100):
        session = join("alone", 0, 1, key=str(tmp_path))
        assert session.names == ["alone"]
        assert session.leave()
    rendezvous.give_up(rendezvous.meet(str(tmp_path), 0, 1, 0.0))


def test_keys_and_environment_name_the_group(monkeypatch):
    monkeypatch.delenv("NBGRAD_RUN_ID", raising=False)
    monkeypatch.setenv("MASTER_ADDR", "a")
    monkeypatch.setenv("MASTER_PORT", "1")
    by_address = rendezvous.segment_name(None)
    assert by_address == rendezvous.segment_name("env://")
    assert by_address != rendezvous.segment_name("tcp://a:2")
    monkeypatch.setenv("NBGRAD_RUN_ID", "run")
    assert rendezvous.segment_name(None) == rendezvous.segment_name("run")
    assert rendezvous.segment_name(None).startswith(f"{os.getuid()}-")


def test_a_group_without_a_name_is_refused(monkeypatch):
    for name in ("NBGRAD_RUN_ID", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for key in (None, "", "env://"):
        with pytest.raises(StartupError, match="nothing names the group"):
            rendezvous.require_key(key)
    rendezvous.require_key("file:///tmp/x")
    monkeypatch.setenv("MASTER_PORT", "29500")
    rendezvous.require_key(None)


def test_the_version_is_that_of_the_sources():
    assert 0 < rendezvous.version() < 1 << 63


def test_a_file_that_was_taken_for_a_remnant_is_made_again(nothing_left, named, monkeypatch):
    name, made = named
    lock = rendezvous.fcntl.flock
    calls = []

    def interfere(descriptor, how):  # another rank 0 finds the file before this one has locked it
        calls.append(how)
        if len(calls) == 1:
            assert rendezvous.remove_remnant(rendezvous.path_of(name))
        lock(descriptor, how)

    monkeypatch.setattr(rendezvous.fcntl, "flock", interfere)
    made.append(rendezvous.create(name, Layout(2), soon()))
    monkeypatch.undo()
    assert rendezvous.is_named(made[0].descriptor, rendezvous.path_of(name))
    made.append(rendezvous.attach(name, Layout(2), 1, soon()))


def test_a_living_rank_0_keeps_its_file(nothing_left, named):
    name, made = named
    made.append(rendezvous.create(name, Layout(2), soon()))
    assert not rendezvous.remove_remnant(rendezvous.path_of(name))
    assert not rendezvous.remove_remnant(rendezvous.path_of(name + "-other"))
