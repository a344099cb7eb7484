"""join and leave inside a group that `spawn` made."""

import os
import re
import signal
import threading
import time
from multiprocessing import get_context

import pytest

from nbgrad.errors import (
    ForkedProcessError,
    NbgradError,
    StartupError,
    WorkerDied,
)
from nbgrad.group import PROCESS_GROUP, RPC, control, first_dead, join, spawn
from nbgrad.group.session import enter
from nbgrad.shm import words
from nbgrad.shm.layout import GENERATION, JOINED, PID, READY, STATE, Layout
from nbgrad.shm.segment import Segment

WORLD = 3


def raises(kind, match, function, *args):
    with pytest.raises(kind, match=match):
        function(*args)


def meet(index):
    session = join(f"w{index}", index, WORLD)
    assert (session.rank, session.world, session.name) == (index, WORLD, f"w{index}")
    assert session.names == ["w0", "w1", "w2"]
    assert session.pid(index) == os.getpid()
    for rank in range(WORLD):
        assert words.load(session.base + session.layout.worker(rank) + STATE) >= READY
    session.check()
    session.check_process()
    assert first_dead(session.segment, session.layout) == -1
    session.leave()
    assert session.leave() is False  # a second time does nothing


def test_all_meet_and_know_each_other(nothing_left):
    spawn(meet, nprocs=WORLD)


def meet_often(index, times):
    last = 0
    descriptors = len(os.listdir("/proc/self/fd"))
    for k in range(times):
        session = join(f"w{index}-{k}", index, WORLD)
        assert session.names == [f"w{rank}-{k}" for rank in range(WORLD)]
        assert session.generation > last
        last = session.generation
        session.leave()
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_a_group_can_meet_again_and_again(nothing_left):
    spawn(meet_often, (100,), nprocs=WORLD)


def exactly_one_is_last(index, queue):
    queue.put(join(f"w{index}", index, WORLD).leave())


def test_exactly_one_leaves_last(nothing_left):
    queue = get_context("spawn").SimpleQueue()
    spawn(exactly_one_is_last, (queue,), nprocs=WORLD)
    assert sorted(queue.get() for _ in range(WORLD)) == [False, False, True]
    queue.close()


SMALL = Layout(3, ring_capacity=4096, arena_bytes=1 << 20)


@pytest.fixture
def segment():
    segment = Segment.inherited(SMALL.size_bytes)
    control.commit(segment, SMALL)
    control.initialise(segment, SMALL, 1)
    yield segment
    segment.unmap()
    segment.close()


@pytest.fixture
def enter_as(segment):
    """enter_as({rank: name}): what each rank's `enter` gave or raised; ranks are threads of this process."""

    def run(names, deadline_s=20.0):
        found = {}

        def member(rank, name):
            end = time.monotonic() + deadline_s
            try:
                found[rank] = enter(segment, SMALL, rank, name, end, deadline_s)
            except NbgradError as error:
                found[rank] = error

        threads = [threading.Thread(target=member, args=item) for item in names.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return found

    return run


def test_missing_ranks_are_named_at_the_deadline(enter_as):
    found = enter_as({0: "a", 2: "c"}, 0.3)
    for rank, name in (
        (0, "a"),
        (2, "c"),
    ):  # on a busy machine the other may have given up, or not begun
        text = str(found[rank])
        assert f"{name!r} (rank {rank} of 3) can't start" in text
        assert re.search(r"rank (0, )?1(, 2)? did not join after 0.3 s", text)


def test_a_rank_taken_twice_is_refused(segment):
    block = segment.address + SMALL.worker(1)
    words.store(block + PID, 4321)
    control.write_name(block, "first")
    with pytest.raises(StartupError, match=r"rank 1 is taken by 'first' \(pid 4321\)"):
        enter(segment, SMALL, 1, "second", time.monotonic() + 5, 5)
    assert words.load(block + PID) == 4321  # the holder is left alone
    assert words.load(segment.address + JOINED) == 0


def test_equal_names_are_refused_on_all_ranks(enter_as):
    found = enter_as({0: "single", 1: "twin", 2: "twin"})
    assert all("'twin' is not unique: ranks 1 and 2" in str(error) for error in found.values())


def end_before(index, code):
    if index == 1:
        raise SystemExit(code)
    kind, text = (
        (StartupError, r"1 \(exit code 0\).* did not join")
        if code == 0
        else (WorkerDied, "exit code 3")
    )
    raises(kind, text, join, f"w{index}", index, WORLD)


@pytest.mark.parametrize("code", [0, 3])
def test_a_worker_that_ends_before_it_joins_is_noticed_at_once(nothing_left, code):
    start = time.monotonic()
    group = spawn(end_before, (code,), nprocs=WORLD, join=False)
    if code == 0:
        group.join()
    else:
        with pytest.raises(Exception, match="process 1 terminated with exit code 3"):
            group.join()
    assert time.monotonic() - start < 15  # the deadline is 30 s


@pytest.mark.parametrize(
    "wrong", [("w", 2, 2), ("w", -1, 2), ("w", 0, 32), ("", 0, 2), ("w" * 129, 0, 2)]
)
def test_impossible_memberships_are_refused(wrong):
    with pytest.raises(StartupError, match="can't join"):
        join(*wrong)


def die_and_tell(index, pipe):
    session = join(f"w{index}", index, WORLD)
    if index == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    try:
        while True:
            session.check("a test")
    except WorkerDied as error:
        pipe.send((index, error.rank, error.name, error.exitcode, "during a test" in str(error)))
    raises(WorkerDied, "during a join", join, f"w{index}", index, WORLD)


def test_survivors_name_the_dead(nothing_left):
    ours, theirs = get_context("spawn").Pipe()
    group = spawn(die_and_tell, (theirs,), nprocs=WORLD, join=False)
    found = sorted([ours.recv(), ours.recv()])
    assert found == [(index, 2, "w2", -9, True) for index in (0, 1)]
    with pytest.raises(Exception, match="process 2 terminated with signal SIGKILL"):
        group.join()
    ours.close()
    theirs.close()


def use_from_child(index):
    session = join("w", 0, 1)
    child = os.fork()
    if child == 0:
        try:
            raises(ForkedProcessError, "forked from worker 'w'", session.check_process)
            assert session.leave() is False
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    session.check_process()
    assert (
        words.load(session.base + GENERATION) == session.generation
    )  # the child has not left for us
    assert session.leave() is True


def test_a_forked_child_is_not_the_worker(nothing_left):
    spawn(use_from_child)


def both_users(index):
    """RPC and process groups in one session, whoever comes first; it ends when both have left."""
    first, second = (RPC, PROCESS_GROUP) if index % 2 == 0 else (PROCESS_GROUP, RPC)
    one = join(f"w{index}", index, WORLD, user=first) if first != RPC else None
    two = join(f"w{index}", index, WORLD, user=RPC)
    assert two.names == ["w0", "w1", "w2"]
    if one is None:
        one = join(f"rank{index}", index, WORLD, user=second)
    assert one is two
    raises(StartupError, "before", join, "again", index, WORLD, 5.0, None, PROCESS_GROUP)
    raises(StartupError, "has rank", join, "other", (index + 1) % WORLD, WORLD)
    assert one.leave(RPC) is False
    assert one.is_open
    raises(StartupError, "before", join, f"w{index}", index, WORLD)  # Note [Users] U2
    one.leave(PROCESS_GROUP)
    assert not one.is_open
    assert join(f"w{index}", index, WORLD) is not one


def test_rpc_and_process_groups_share_a_session(nothing_left):
    spawn(both_users, nprocs=WORLD)


def late_for_rpc(index, event):
    session = join(f"rank{index}", index, WORLD, user=PROCESS_GROUP)
    if index == 0:
        text = r"ranks \[1, 2\] are in the group, but have not called init_rpc\(\) after 0.2 s"
        raises(StartupError, text, join, "w0", 0, WORLD, 0.2)
        event.set()
    assert event.wait(20)
    session.leave(PROCESS_GROUP)
    assert not session.is_open


def test_a_worker_that_never_calls_init_rpc_is_named(nothing_left):
    spawn(late_for_rpc, (get_context("spawn").Event(),), nprocs=WORLD)
