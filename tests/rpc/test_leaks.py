"""What is left at shutdown is named: the RRef, the type of its value, its owner, and where it was made."""

import os
import re
import sys

import pytest

import nbgrad as nb
from nbgrad import rpc
from nbgrad.errors import RRefError
from nbgrad.rpc import api, leaks, state
from tests.groups import eventually, on_all


def here():
    """(file, line) of the caller."""
    frame = sys._getframe(1)
    return frame.f_code.co_filename, frame.f_lineno


def lines():
    """What is left; in the order of the texts behind the ids, which are used again."""
    return sorted(leaks.left(state.agent()), key=lambda line: line.partition(" to ")[2])


# ---------------------------------------------------------------- what is told while the group lives


def made_in_both_ways():
    file, line = here()
    kept = [rpc.remote(1, nb.ones, (2,)), rpc.RRef("text")]
    for rref in kept:
        rref.to_here()
    kept[0]._get_type()
    found = lines(), rpc.rpc_sync(1, lines), file, line + 1
    del kept, rref
    return *found, on_all(lines)


def test_left_names_owner_type_and_place(group2):
    mine, theirs, file, line, after = group2.call(made_in_both_ways)
    place = rf" at {re.escape(file)}:{line} in made_in_both_ways"
    assert len(mine) == 2
    assert re.fullmatch(
        r"Leaking RRef \d+ to a Tensor on 'worker1': made by remote\(\.\.\., ones\)" + place,
        mine[0],
    )
    assert re.fullmatch(
        r"Leaking RRef \d+ to a str on 'worker0': made by RRef\(\.\.\.\)" + place, mine[1]
    )
    assert len(theirs) == 1
    assert re.fullmatch(
        r"Leaking RRef \d+ to a Tensor on this worker: 1 references by other workers; made by 'worker0'",
        theirs[0],
    )
    assert after == [[], []]


kept_there: list = []


def keep(rref):
    kept_there.append(rref)


def let_go():
    kept_there.clear()


def sent_and_kept():
    rref = rpc.RRef(3)
    rpc.rpc_sync(1, keep, (rref,))
    del rref
    found = lines(), rpc.rpc_sync(1, lines)
    rpc.rpc_sync(1, let_go)
    return found


def test_one_that_came_in_a_message_says_so(group2):
    mine, theirs = group2.call(sent_and_kept)
    assert re.fullmatch(r".* to a int on this worker: 1 references by other.*'worker0'", mine[0])
    assert re.fullmatch(r".* on 'worker0': made by 'worker0', came in a message", theirs[0])


def fail():
    raise KeyError("no")


def failed_creation():
    rref = rpc.remote(1, fail)
    with pytest.raises(KeyError):
        rref.to_here()
    return rpc.rpc_sync(1, lines)


def test_a_creation_that_raised_is_told(group2):
    assert "to a value whose creation raised KeyError" in group2.call(failed_creation)[0]


class Door:
    future = None


def wait_at_door():
    Door.future = nb.futures.Future()
    return Door.future.wait()


def door_is_there():
    return eventually(lambda: Door.future is not None)


def open_door():
    Door.future.set_result("a value")


def dropped_while_it_is_made():
    """Nobody refers to a value whose function still runs."""
    rref = rpc.remote(1, wait_at_door)
    assert rpc.rpc_sync(1, door_is_there)
    before = rpc.rpc_sync(1, lines)
    del rref
    state.agent().rrefs.collect()
    after = rpc.rpc_sync(1, lines)
    rpc.rpc_sync(1, open_door)
    return before, after


def test_a_value_that_nobody_refers_to_is_no_leak(group2):
    before, after = group2.call(dropped_while_it_is_made)
    assert len(before) == 1
    assert "a value that is not made yet" in before[0]
    assert after == []


class Cycle:
    def __init__(self):
        self.me, self.rref = self, rpc.RRef(1)


def only_a_cycle_holds():
    Cycle()
    assert leaks.Settled(state.agent()).finished
    return lines()


def test_what_only_a_cycle_holds_is_no_leak(group2):
    assert group2.call(only_a_cycle_holds) == []


# ---------------------------------------------------------------- at shutdown


def join(rank, world):
    os.environ["MASTER_PORT"] = str(20_000 + os.getppid() % 40_000)  # names the group
    rpc.init_rpc(f"worker{rank}", rank=rank, world_size=world)


def forgets(rank, world):
    api._ignore_rref_leak = False
    join(rank, world)
    if rank == 0:
        kept_there.append(rpc.remote(1, list))
        kept_there[0].to_here()
    try:
        rpc.shutdown()
    except RRefError as error:
        return str(error), api._is_current_rpc_agent_set()
    return None


def test_shutdown_raises_on_both_ends_and_leaves_all_the_same(on_workers):
    (mine, still), (theirs, _) = on_workers(forgets)
    assert not still
    assert mine.startswith("1 RRefs were left on worker 'worker0'")
    assert "Leaking RRef" in mine
    assert "remote(..., list)" in mine
    assert "to a list on this worker: 1 references by other workers" in theirs


def drops(rank, world):
    api._ignore_rref_leak = False
    join(rank, world)
    use_and_drop(rank, world)
    rpc.shutdown()
    return True


def use_and_drop(rank, world):
    peer = (rank + 1) % world
    held = [rpc.remote(peer, list) for _ in range(20)] + [Cycle()]
    for rref in held[:20]:
        rpc.rpc_sync((rank + 2) % world, keep_for_a_moment, (rref,))


def keep_for_a_moment(rref):
    return rref.to_here()


def test_nothing_is_told_where_all_is_dropped(on_workers):
    assert on_workers(drops, world=3) == [True] * 3


def ignores(rank, world):
    join(rank, world)
    kept_there.append(rpc.remote(1 - rank, list))
    kept_there[0].to_here()
    rpc.shutdown()
    return api._ignore_rref_leak


def test_by_default_shutdown_ignores_them_as_pytorch_does(on_workers):
    assert on_workers(ignores) == [True, True]
